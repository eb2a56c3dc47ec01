"""Recalibrated statistics against a plain NumPy pass over the physically pruned network, front to back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.arrays import arrays_of, set_arrays
from models.compensation.method import COMPENSATIONS, recalibrates, regression_of
from models.compensation.recalibration import Calibration, has_norms, reached, recalibrated
from models.normalisation import Normalisation
from models.pruning import prune
from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from tests.models.support import numpy_networks, own_networks
from tests.models.support.compensation_cases import built
from tests.models.support.small_networks import filled, random_keeps, small

NORMALISATION = Normalisation((0.4, 0.5, 0.6), (0.3, 0.2, 0.25))


@pytest.fixture
def maps(monkeypatch):
    """The inputs of batch norms in a forward pass of arrays; ``statistics`` may give a layer others."""
    normed = numpy_networks.normed

    def of(architecture, arrays, images, statistics=lambda layer, outputs: None):
        seen = {}

        def recording(arrays, layer, images, stride=1, padding=((0, 0), (0, 0)), epsilon=1e-5):
            parts = numpy_networks.kernel_and_bias(arrays, layer)
            seen[layer] = numpy_networks.convolved(images, *parts, stride, padding)
            if (found := statistics(layer, seen[layer])) is not None:
                arrays[f"{layer}.norm.mean"], arrays[f"{layer}.norm.var"] = found
            return normed(arrays, layer, images, stride, padding, epsilon)

        monkeypatch.setattr(numpy_networks, "normed", recording)
        numpy_networks.FAMILIES[architecture.family](architecture, arrays, images)
        return seen

    return of


def pictures(network, count=13):
    shape = count, *network.architecture.input_shape
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def kept_outputs(network, keeps):
    """Layer with a batch norm -> the filters that ``keeps`` leaves of it."""
    found = {}
    for stage in network.stages:
        for path, spec in stage.specs().items():
            if path.endswith("norm.mean"):
                layer = f"{stage.name}.{path}".removesuffix(".norm.mean")
                found[layer] = keeps.get(spec.axes[0].group, slice(None))
    return found


def whole(network):
    return {group.name: np.ones(group.size, bool) for group in network.filter_groups}


def keeps_of(network, group):
    if group == "all groups":
        return random_keeps(network.filter_groups, np.random.default_rng(5), 0.6)
    size = next(each.size for each in network.filter_groups if each.name == group)
    return {group: np.arange(size) != 1}


CASES = [
    ("vgg-average", "all groups"),
    ("vgg-average", "conv2_1"),
    ("resnet-copied", "all groups"),
    ("resnet-copied", "unit2_1"),
    ("resnet-copied", "stage2"),
    # With a projection as its shortcut.
    ("resnet-stem", "stage1"),
]


@pytest.mark.parametrize(("name", "group"), CASES)
def test_statistics_are_those_of_the_pruned_network_from_front_to_back(name, group, maps):
    network, keeps = small(name), keeps_of(small(name), group)
    images = pictures(network)
    inputs = np.asarray(NORMALISATION(jnp.asarray(images)), np.float64)
    pruned = prune(recalibrated(network, keeps, Calibration.of(network, images, NORMALISATION)), keeps)
    found = arrays_of(pruned)

    original, kept = maps(network.architecture, arrays_of(network), inputs), kept_outputs(network, keeps)

    expected = arrays_of(prune(network, keeps))
    stored = dict(expected)

    def matched(layer, outputs):
        """Normalised by them, an input has the moments of the original's input, normalised by the stored ones."""
        before = original[layer][..., kept[layer]]
        if np.allclose(outputs, before, rtol=1e-4, atol=1e-4):
            return None
        mean, variance = stored[f"{layer}.norm.mean"], stored[f"{layer}.norm.var"]
        places = (0, 1, 2)
        floor = 1e-3 * variance
        ratio = (outputs.var(places) + floor) / (before.var(places) + floor)
        return outputs.mean(places) - (before.mean(places) - mean) * np.sqrt(ratio), variance * ratio

    maps(pruned.architecture, expected, inputs, matched)
    for path, array in expected.items():
        if array is stored[path]:
            assert found[path].tobytes() == array.tobytes()
        else:
            np.testing.assert_allclose(found[path], array, rtol=1e-3, atol=1e-4, err_msg=path)
    measured = {path for path in expected if expected[path] is not stored[path]}
    assert measured
    assert measured < {path for path in expected if path.endswith(("norm.mean", "norm.var"))}


def measured_by_flax(network, images, untouched=()):
    """Give the batch norms of a module of Flax the statistics that one batch of training leaves."""
    for path, module in nnx.iter_graph(network.module):
        if isinstance(module, nnx.BatchNorm):
            module.momentum, module.use_fast_variance = 0.0, False
            module.use_running_average = ".".join(map(str, path)) in untouched
    network.module(NORMALISATION(jnp.asarray(images)))


@pytest.mark.parametrize(
    ("name", "untouched"),
    [
        ("ResNet", {"bn"}),
        pytest.param("DenseNet", {"block1.0.bn"}, marks=pytest.mark.slow),
        pytest.param("MobileNet", set(), marks=pytest.mark.slow),
    ],
)
def test_a_network_of_ones_own_gets_the_statistics_that_its_training_mode_measures(name, untouched):
    """The pruned module itself is the reference: Flax measures, in one batch of all images."""
    network = own_networks.fresh(name)
    keeps, images = keeps_of(network, "all groups"), pictures(network)
    # Images such as the network was trained on.
    measured_by_flax(network, images)
    pruned = prune(recalibrated(network, keeps, Calibration.of(network, images, NORMALISATION)), keeps)
    found = arrays_of(pruned)

    reference = prune(network, keeps)
    measured_by_flax(reference, images, untouched)
    expected = arrays_of(reference)
    for path, array in expected.items():
        np.testing.assert_allclose(found[path], array, rtol=5e-3, atol=1e-3, err_msg=path)
    changed = {path for path, array in arrays_of(prune(network, keeps)).items() if (array != found[path]).any()}
    norms = sum(isinstance(module, nnx.BatchNorm) for _, module in nnx.iter_graph(reference.module))
    assert len(changed) == 2 * (norms - len(untouched))


class Written(nnx.Module):
    """Batch norms in other words, and what only looks like one."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.layers = nnx.List([nnx.Conv(4, 4, (1, 1), rngs=rngs) for _ in range(5)])
        self.means = nnx.List([nnx.BatchStat(jnp.zeros(4)) for _ in range(5)])
        self.variances = nnx.List([nnx.BatchStat(jnp.ones(4)) for _ in range(4)])
        self.trained = nnx.Param(jnp.ones(4))
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        means, variances = ([array[...] for array in arrays] for arrays in (self.means, self.variances))
        x = self.stem(x)
        x = (self.layers[0](x) - means[0]) / jnp.sqrt(variances[0] + 1e-3)
        x = (self.layers[1](x) - means[1]) * (self.trained[...] / jnp.sqrt(1e-3 + variances[1]))
        # No norms: a product with the deviation, a trained variance, and a variance that shifts.
        x = (self.layers[2](x) - means[2]) * jnp.sqrt(variances[2])
        x = (self.layers[3](x) - means[3]) * jax.lax.rsqrt(self.trained[...] ** 2 + 1e-3)
        x = (self.layers[4](x) - means[4]) + variances[3]
        return self.head(nnx.relu(x).mean((1, 2)))


def test_batch_norms_are_found_by_what_they_compute(monkeypatch):
    monkeypatch.setitem(factories._FACTORIES, "own:network", lambda rngs, *, input_shape, classes: Written(rngs))
    network = ModuleArchitecture("own:network", (8, 8, 3), 5).blank()
    norms = [(norm.mean, norm.variance, norm.scale) for stage in network.stages for norm in stage.norms()]
    assert norms == [
        ("arrays.means.0", "arrays.variances.0", None),
        ("arrays.means.1", "arrays.variances.1", "arrays.trained"),
    ]


@pytest.mark.parametrize("name", ["vgg-average", "resnet-copied"])
def test_a_mask_that_removes_nothing_changes_nothing(name):
    network = small(name)
    calibration = Calibration.of(network, pictures(network, 4), NORMALISATION)
    for keeps in ({}, whole(network)):
        found = arrays_of(recalibrated(network, keeps, calibration))
        assert all(found[path].tobytes() == array.tobytes() for path, array in arrays_of(network).items())


def test_a_removed_filter_that_yields_nan_leaves_no_trace():
    network = small("resnet-copied")
    keeps = whole(network)
    keeps["stage1"] = keeps["stage1"] & (np.arange(len(keeps["stage1"])) != 1)
    keeps["unit2_1"] = np.arange(len(keeps["unit2_1"])) != 0
    calibration = Calibration.of(network, pictures(network), NORMALISATION)
    expected = arrays_of(prune(recalibrated(network, keeps, calibration), keeps))
    arrays = {path: array.copy() for path, array in arrays_of(network).items()}
    arrays["stage1.convolution.kernel"][..., 1] = np.nan
    arrays["unit1_1.second.convolution.bias"][1] = np.inf
    arrays["unit2_1.first.norm.scale"][0] = np.nan
    broken = filled(network.architecture)
    set_arrays(broken, arrays)
    found = arrays_of(prune(recalibrated(broken, keeps, calibration), keeps))
    for path, array in expected.items():
        np.testing.assert_array_equal(found[path], array)


def test_dead_channels_have_finite_statistics():
    """A channel that answers the same for every image has no variance; its output stays as it was."""
    network = built("batch-norm")
    arrays = {path: array.copy() for path, array in arrays_of(network).items()}
    arrays["conv2_1.convolution.kernel"][..., 0] = 0
    set_arrays(network, arrays)
    keeps = {"conv1_1": np.arange(5) != 2}
    calibration = Calibration.of(network, pictures(network), Normalisation((0.4, 0.5), (0.3, 0.2)))
    found = arrays_of(recalibrated(network, keeps, calibration))
    for part in ("mean", "var"):
        path = f"conv2_1.norm.{part}"
        np.testing.assert_allclose(found[path][0], arrays[path][0], rtol=1e-5)
        assert np.abs(found[path][1:] - arrays[path][1:]).min() > 1e-4


def test_a_mask_that_changes_little_changes_statistics_little_on_images_of_another_kind():
    """The network's own statistics are far from those of these images, and stay so."""
    network = small("resnet-copied")
    arrays = {path: array.copy() for path, array in arrays_of(network).items()}
    arrays["unit2_1.first.convolution.kernel"][..., 1] *= 1e-4
    arrays["unit2_1.first.norm.bias"][1] = arrays["unit2_1.first.norm.scale"][1] = 1e-6
    keeps = {"unit2_1": np.arange(len(arrays["unit2_1.first.norm.bias"])) != 1}
    faint = filled(network.architecture)
    set_arrays(faint, arrays)
    calibration = Calibration.of(faint, pictures(network), NORMALISATION)
    found = arrays_of(recalibrated(faint, keeps, calibration))
    differ = {path for path, array in arrays.items() if (found[path] != array).any()}
    assert "unit3_1.first.norm.mean" in differ
    for path in differ:
        np.testing.assert_allclose(found[path], arrays[path], rtol=1e-2, atol=1e-2, err_msg=path)


def test_norms_in_front_of_the_first_removal_are_not_reached():
    stages = list(small("resnet-copied").stages)
    names = [stage.name for stage in stages]

    def measured(*removed):
        return {
            f"{name}.{norm.mean}"
            for name, norms in zip(names, reached(stages, set(removed)), strict=True)
            for norm in norms
        }

    everything = measured("stage1")
    assert "stage1.norm.mean" not in everything
    assert measured() == set()
    behind = {path for path in everything if path.startswith("unit3")}
    assert measured("unit2_1") == behind | {"unit2_1.second.norm.mean"}
    assert measured("stage2") == behind
    assert measured("stage3") == set()


def test_methods_have_two_parts():
    parts = {method: (regression_of(method), recalibrates(method)) for method in COMPENSATIONS}
    assert parts["linear"] == ("linear", False)
    assert parts["recalibrate"] == (None, True)
    assert parts["linear+recalibrate"] == ("linear", True)
    assert len(set(parts.values())) == len(parts)


def test_which_networks_have_anything_to_measure():
    assert has_norms(small("resnet-copied"))
    assert has_norms(built("batch-norm"))
    assert not has_norms(built("plain"))
    assert not has_norms(small("lenet5"))
