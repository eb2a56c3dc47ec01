"""Networks as PyTorch builds and computes them, against what we import; and the way back, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import StoreError
from models.export.torch import state_dict
from models.normalisation import Normalisation
from models.state import arrays_of
from models.store import Model
from models.torch_import import import_network
from models.vgg import VGGArchitecture
from tests.models.test_pruning import randomised

torch = pytest.importorskip("torch")
nn = torch.nn
NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def features(plan, batch_norm, bias=True):
    """torchvision's ``make_layers``; "M" is a pool."""
    layers, channels = [], 3
    for width in plan:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=bias))
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


class TorchVision(nn.Module):
    """torchvision's VGG with small widths."""

    def __init__(self, batch_norm):
        super().__init__()
        self.features = features([4, "M", 5, 6, "M"], batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        dropout = nn.Dropout(0.5)
        middle = [nn.Linear(6 * 49, 9), nn.ReLU(), dropout, nn.Linear(9, 8), nn.ReLU(), dropout]
        self.classifier = nn.Sequential(*middle, nn.Linear(8, 3))

    def forward(self, images):
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))


class CIFARVariant(nn.Module):
    """The common one: convolutions without bias, batch norm, an average pool of 1x1 and a single classifier."""

    def __init__(self):
        super().__init__()
        plan = features([4, 5, "M", 6, "M", 7, "M"], True, bias=False)
        self.features = nn.Sequential(*plan, nn.AvgPool2d(1, 1))
        self.classifier = nn.Linear(7, 4)

    def forward(self, images):
        return self.classifier(self.features(images).flatten(1))


class Unit(nn.Module):
    def __init__(self, inputs, filters, stride, bias):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, filters, 1, stride, bias=bias), nn.BatchNorm2d(filters)
            )

    def forward(self, images):
        hidden = torch.relu(self.bn1(self.conv1(images)))
        return torch.relu(self.bn2(self.conv2(hidden)) + self.shortcut(images))


class ResNet(nn.Module):
    """The common ResNet for CIFAR, option B."""

    def __init__(self, widths=(4, 6, 8), units=2, bias=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for number, width in enumerate(widths, 1):
            strides = [2 if number > 1 else 1] + [1] * (units - 1)
            stage = []
            for stride in strides:
                stage.append(Unit(inputs, width, stride, bias))
                inputs = width
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.linear = nn.Linear(inputs, 5)

    def forward(self, images):
        carry = torch.relu(self.bn1(self.conv1(images)))
        carry = self.layer3(self.layer2(self.layer1(carry)))
        return self.linear(carry.mean((2, 3)))


def trained(network, seed=0):
    """Any weights and batch statistics, not those that PyTorch starts with."""
    torch.manual_seed(seed)
    for name, array in network.state_dict().items():
        if array.is_floating_point():
            array.copy_(torch.rand_like(array) + 0.5 if "var" in name else 0.5 * torch.randn_like(array))
    return network.eval()


def assert_imported(network, tmp_path, size, **options):
    """Saved by PyTorch, imported by us: the same logits on the same images."""
    torch.save(network.state_dict(), tmp_path / "network.pt")
    model = import_network(tmp_path / "network.pt", NORMALISATION, **options)
    assert model.network.architecture.input_shape == (size, size, 3)
    images = np.random.default_rng(1).standard_normal((2, size, size, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(
        model.network(images), expected, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(expected).max())
    )
    return model


@pytest.mark.parametrize(("batch_norm", "size"), [(False, None), (True, 20), (False, 32)])
def test_torchvisions_layout_at_its_own_size_and_others(tmp_path, batch_norm, size):
    options = {} if size is None else {"input_size": size}
    model = assert_imported(trained(TorchVision(batch_norm)), tmp_path, size or 28, **options)
    assert model.network.architecture.hidden == (9, 8)


def test_the_common_variant_for_cifar(tmp_path):
    model = assert_imported(trained(CIFARVariant()), tmp_path, 8)
    assert model.network.architecture.blocks == ((4, 5), (6,), (7,))
    assert model.network.architecture.hidden == ()


@pytest.mark.parametrize("bias", [False, True])
def test_the_common_residual_network(tmp_path, bias):
    model = assert_imported(trained(ResNet(bias=bias)), tmp_path, 32)
    assert model.network.architecture.tied == (4, 6, 8)
    assert model.network.architecture.inner == ((4, 4), (6, 6), (8, 8))


def test_a_resnet_20_has_the_known_number_of_parameters(tmp_path):
    torch.save(ResNet((16, 32, 64), 3, bias=True).state_dict(), tmp_path / "network.pt")
    network = import_network(tmp_path / "network.pt", NORMALISATION).network
    # 5 classes here, 10 in the count of the literature.
    trained_ones = sum(
        array.size for name, array in arrays_of(network).items() if not name.endswith(("mean", "var"))
    )
    assert trained_ones + 5 * 65 == 273_258


@pytest.mark.parametrize(
    ("missing", "extra", "sentence"),
    [
        ("layer2.0.shortcut", None, "option B"),
        ("linear", None, "lacks conv1"),
        ("layer1.1.bn2.running_var", None, "unit1_2.second.norm.var"),
        ("nothing", "layer1.0.attention.weight", "layer1.0.attention.weight"),
    ],
)
def test_residual_networks_of_other_kinds_are_refused(tmp_path, missing, extra, sentence):
    arrays = {name: array for name, array in ResNet().state_dict().items() if not name.startswith(missing)}
    if extra is not None:
        arrays[extra] = torch.ones(3)
    torch.save(arrays, tmp_path / "network.pt")
    with pytest.raises(StoreError, match=sentence):
        import_network(tmp_path / "network.pt", NORMALISATION)


@settings(max_examples=3)
@given(
    st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=2), min_size=1, max_size=3),
    st.lists(st.integers(1, 6), max_size=2),
    st.booleans(),
    st.integers(1, 3),
)
def test_export_and_import_are_inverse_to_the_bit(tmp_path_factory, blocks, hidden, batch_norm, side):
    size = side * 2 ** len(blocks)
    architecture = VGGArchitecture(
        "any", tuple(map(tuple, blocks)), tuple(hidden), 3, (size, size, 3), batch_norm
    )
    model = Model(randomised(architecture, 1), NORMALISATION, ("a", "b", "c"))
    path = tmp_path_factory.mktemp("torch") / "vgg.pt"
    arrays = state_dict(model)
    torch.save({name: torch.tensor(array) for name, array in arrays.items()}, path)
    again = import_network(path, NORMALISATION, classes=("a", "b", "c"))
    for name, array in arrays_of(model.network).items():
        np.testing.assert_array_equal(arrays_of(again.network)[name], array)
    for name, array in state_dict(again).items():
        np.testing.assert_array_equal(array, arrays[name])
