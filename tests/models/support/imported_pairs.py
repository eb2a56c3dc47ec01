"""Networks of ours, and the same networks exported to ONNX and imported again."""

import numpy as np

from models.export.onnx import ONNX
from models.model_directory import Model
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.onnx_import.importing import import_onnx
from tests.models.support.small_networks import filled

NORMALISATION = Normalisation((0.4, 0.5), (0.3, 0.2))
# The groups of a network have different sizes, by which they are found in the other network.
KINDS = {
    "vgg": VGGArchitecture("any", ((5, 4), (6,)), (7,), 3, (8, 8, 2)),
    "vgg-batch-norm": VGGArchitecture("any", ((5,), (6,)), (7,), 3, (8, 8, 2), batch_norm=True),
    "resnet": ResNetArchitecture("any", (4, 5), ((3,), (6, 7)), 3, (8, 8, 2)),
}


def pair(kind, folder):
    """Our model, the imported one, and the name of each of our groups in the imported one."""
    ours = Model(filled(KINDS[kind], 1), NORMALISATION, ("a", "b", "c"))
    path = folder / f"{kind}.onnx"
    path.write_bytes(ONNX().files(ours)["model.onnx"])
    imported = import_onnx(path, NORMALISATION).model
    theirs = {group.size: group.name for group in imported.network.filter_groups}
    return ours, imported, {group.name: theirs[group.size] for group in ours.network.filter_groups}


def images(count=60):
    """``uint8[count, 8, 8, 2]``."""
    return np.random.default_rng(3).integers(0, 256, (count, 8, 8, 2), dtype=np.uint8)
