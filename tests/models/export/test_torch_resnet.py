"""A pruned ResNet in PyTorch's names: back here bit for bit, and the same logits in a network built by hand."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from models.arrays import arrays_of
from models.export.parity import write_checked
from models.export.registry import FORMATS
from models.export.torch import FILE, state_dict
from models.model_directory import Model
from models.normalisation import Normalisation
from models.pruning import prune
from models.torch.facts import Facts
from models.torch.importing import import_network
from tests.models.support.small_networks import small

NORMALISATION = Normalisation((0.4, 0.5, 0.3), (0.3, 0.2, 0.4))
SIZE = (9, 8)


def pruned(seed):
    """A ResNet whose tied and inner channels have lost any number, and its mask on the original."""
    network, rng = small("resnet20", seed), np.random.default_rng(seed)
    keeps = {group.name: rng.random(group.size) < 0.6 for group in network.filter_groups}
    for keep in keeps.values():
        keep[rng.integers(len(keep))] = True
    smaller = Model(prune(network, keeps), NORMALISATION, tuple("abcd"))
    return smaller, lambda images: np.asarray(network(NORMALISATION(images), keeps))


@pytest.mark.parametrize("seed", range(3))
def test_the_way_back_changes_no_bit(tmp_path, seed):
    model, _ = pruned(seed)
    save_file(state_dict(model), tmp_path / FILE)
    again = import_network(tmp_path / FILE, NORMALISATION, facts=Facts(input_size=SIZE[0])).model.network
    ours, theirs = model.network.architecture, again.architecture
    assert (theirs.tied, theirs.inner, theirs.classes) == (ours.tied, ours.inner, 4)
    assert len(set(theirs.tied + sum(theirs.inner, ()))) > 3
    expected, found = arrays_of(model.network), arrays_of(again)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])


def by_hand(torch, arrays):
    """The network that a PyTorch user would write for these shapes."""
    nn = torch.nn

    class Unit(nn.Module):
        def __init__(self, inputs, inner, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, inner, 3, stride, 1)
            self.bn1 = nn.BatchNorm2d(inner)
            self.conv2 = nn.Conv2d(inner, outputs, 3, 1, 1)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.shortcut = nn.Sequential()
            if stride == 2:
                self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2), nn.BatchNorm2d(outputs))

        def forward(self, images):
            hidden = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(images)))))
            return torch.relu(hidden + self.shortcut(images))

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            stem, channels = arrays["conv1.weight"].shape[:2]
            self.conv1, self.bn1 = nn.Conv2d(channels, stem, 3, 1, 1), nn.BatchNorm2d(stem)
            for layer in (1, 2, 3):
                units = []
                for unit in range(3):
                    inner, inputs = arrays[f"layer{layer}.{unit}.conv1.weight"].shape[:2]
                    outputs = len(arrays[f"layer{layer}.{unit}.conv2.weight"])
                    units.append(Unit(inputs, inner, outputs, 2 if layer > 1 and unit == 0 else 1))
                setattr(self, f"layer{layer}", nn.Sequential(*units))
            self.linear = nn.Linear(outputs, len(arrays["linear.bias"]))

        def forward(self, images):
            carry = torch.relu(self.bn1(self.conv1(images)))
            return self.linear(self.layer3(self.layer2(self.layer1(carry))).mean((2, 3)))

    return ResNet()


def test_pytorch_loads_the_exported_file_strictly_and_answers_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    model, masked = pruned(5)
    images = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), dtype=np.uint8)
    parity, _ = write_checked(tmp_path / "out", model, FORMATS["torch"], images, masked)
    assert parity.differing == 0
    arrays = load_file(tmp_path / "out" / FILE)
    network = by_hand(torch, arrays)
    network.load_state_dict(arrays, strict=True)
    inputs = np.asarray(NORMALISATION(images)).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        logits = network.eval()(torch.from_numpy(inputs.copy())).numpy()
    expected = masked(images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(expected).max()))
    np.testing.assert_allclose(FORMATS["torch"].load(tmp_path / "out")(images), logits, rtol=1e-4, atol=1e-4)
