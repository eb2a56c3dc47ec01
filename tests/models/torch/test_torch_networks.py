"""Networks as PyTorch builds and computes them, against what we import; and the way back, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import arrays_of
from models.errors import StoreError
from models.export.torch import state_dict
from models.model_directory import Model
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.torch.facts import Facts
from models.torch.importing import import_network
from tests.models.support.small_networks import positive

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
    model = import_network(tmp_path / "network.pt", NORMALISATION, facts=Facts(**options)).model
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


class Slimming(nn.Module):
    """Network slimming's VGG: ``feature.N``, no biases, any widths, and an average pool last."""

    def __init__(self):
        super().__init__()
        self.feature = nn.Sequential(*features([5, 4, "M", 3, 6], True, bias=False), nn.AvgPool2d(2))
        self.classifier = nn.Linear(6 * 4, 3)

    def forward(self, images):
        return self.classifier(self.feature(images).flatten(1))


def test_an_average_pool_last(tmp_path):
    model = assert_imported(trained(Slimming()), tmp_path, 8, last_pool="average")
    assert model.network.architecture.blocks == ((5, 4), (3, 6))


class Dropped(nn.Module):
    """Dropout behind each convolution that another one follows, and an epsilon of Keras's."""

    def __init__(self, batch_norm):
        super().__init__()
        layers, channels = [], 3
        for width, following in (
            (4, nn.Dropout()),
            (4, nn.MaxPool2d(2)),
            (6, nn.Dropout()),
            (6, nn.MaxPool2d(2)),
        ):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width, eps=1e-3)] if batch_norm else []
            layers += [nn.ReLU(), following]
            channels = width
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(6, 3)

    def forward(self, images):
        return self.classifier(self.features(images).flatten(1))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_dropout_between_convolutions_and_another_epsilon(tmp_path, batch_norm):
    network = trained(Dropped(batch_norm))
    for module in network.features:
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.mul_(0.01)
    facts = {"epsilon": 1e-3} if batch_norm else {}
    model = assert_imported(network, tmp_path, 4, input_size=4, **facts)
    assert model.network.architecture.blocks == ((4, 4), (6, 6))


class Copies(nn.Module):
    """Option A: every other row and column, and zeros beside the channels."""

    def __init__(self, before, behind):
        super().__init__()
        self.zeros = (0, 0, 0, 0, before, behind)

    def forward(self, images):
        return nn.functional.pad(images[:, :, ::2, ::2], self.zeros)


@pytest.mark.parametrize("told", [None, "behind"])
def test_a_residual_network_whose_shortcuts_have_no_weights(tmp_path, told):
    network = ResNet((4, 8, 16))
    for layer, widths in ((network.layer2, (4, 8)), (network.layer3, (8, 16))):
        added = widths[1] - widths[0]
        layer[0].shortcut = Copies(0, added) if told else Copies(added // 2, added // 2)
    assert_imported(trained(network), tmp_path, 32, shortcut_zeros=told)


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (7, 2)])
def test_a_residual_network_with_imagenets_first_layers(tmp_path, kernel, stride, pool):
    network = ResNet()
    network.conv1 = nn.Conv2d(3, 4, kernel, stride, kernel // 2, bias=False)
    relu = [nn.MaxPool2d(3, 2, 1)] if pool else []
    network.bn1 = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), *relu)
    trained(network)
    renamed = {name.replace("bn1.0.", "bn1."): array for name, array in network.state_dict().items()}
    network.state_dict = lambda: renamed
    assert_imported(network, tmp_path, 40, input_size=40, stem_pool=pool)


@pytest.mark.parametrize("bias", [False, True])
def test_the_common_residual_network(tmp_path, bias):
    model = assert_imported(trained(ResNet(bias=bias)), tmp_path, 32)
    assert model.network.architecture.tied == (4, 6, 8)
    assert model.network.architecture.inner == ((4, 4), (6, 6), (8, 8))


def test_a_resnet_20_has_the_known_number_of_parameters(tmp_path):
    torch.save(ResNet((16, 32, 64), 3, bias=True).state_dict(), tmp_path / "network.pt")
    network = import_network(tmp_path / "network.pt", NORMALISATION).model.network
    # 5 classes here, 10 in the count of the literature.
    trained_ones = sum(
        array.size for name, array in arrays_of(network).items() if not name.endswith(("mean", "var"))
    )
    assert trained_ones + 5 * 65 == 273_258


@pytest.mark.parametrize(
    ("missing", "extra", "sentence"),
    [
        ("layer2.0.shortcut", None, r"layer2.0 has no shortcut.0.weight, and other layers have one"),
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
    model = Model(positive(architecture, 1), NORMALISATION, ("a", "b", "c"))
    path = tmp_path_factory.mktemp("torch") / "vgg.pt"
    arrays = state_dict(model)
    torch.save({name: torch.tensor(array) for name, array in arrays.items()}, path)
    again = import_network(path, NORMALISATION, classes=("a", "b", "c"), facts=Facts(input_size=size)).model
    for name, array in arrays_of(model.network).items():
        np.testing.assert_array_equal(arrays_of(again.network)[name], array)
    for name, array in state_dict(again).items():
        np.testing.assert_array_equal(array, arrays[name])
