"""The networks of this folder, and their input."""

from tests.models.user_networks.dense_net import DenseNet
from tests.models.user_networks.grouped import GroupedCNN
from tests.models.user_networks.inverted_residual import MobileNet
from tests.models.user_networks.mlp import MLP
from tests.models.user_networks.plain import PlainCNN
from tests.models.user_networks.residual import ResNet

INPUT_SHAPES = {
    PlainCNN: (16, 16, 3),
    ResNet: (8, 8, 3),
    DenseNet: (16, 16, 3),
    MobileNet: (16, 16, 3),
    MLP: (8, 8, 3),
    GroupedCNN: (8, 8, 3),
}
NETWORKS = tuple(INPUT_SHAPES)
