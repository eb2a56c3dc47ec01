import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from engine.layout import Layout
from fitness.importance import IMPORTANCES, Subject
from models.arrays import arrays_of, set_arrays
from models.axes import extent
from models.model_directory import Model
from models.normalisation import Normalisation
from models.pruning import prune
from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from tests.fitness.importance.subjects import change_arrays, subject_of
from tests.models.support.user_networks import GroupedCNN


@pytest.fixture
def subject():
    """Kernels that are zero but for some weights of the first convolution and of the dense layer."""

    def fill(arrays):
        for array in arrays.values():
            array[:] = 0
        arrays["conv1_1.convolution.kernel"][0, 0, :, 0] = [3, -4]
        arrays["conv1_1.convolution.kernel"][2, 1, 1, 2] = -12
        arrays["conv1_1.convolution.bias"][:] = 100
        arrays["fc1.dense.kernel"][[0, 5, 9], 6] = [2, -3, 6]

    return change_arrays(subject_of("plain", ["conv1_1", "fc1"]), fill)


@pytest.mark.parametrize(
    ("name", "convolution", "dense"),
    [
        ("magnitude-l1-raw", [7, 0, 12, 0], 11),
        ("magnitude-l2-raw", [5, 0, 12, 0], 7),
        ("magnitude-l1", np.array([7, 0, 12, 0]) / np.sqrt(193), 1),
        ("magnitude-l2", np.array([5, 0, 12, 0]) / 13, 1),
        ("magnitude", np.array([7, 0, 12, 0]) / np.sqrt(193), 1),
    ],
)
def test_magnitudes_by_hand(subject, name, convolution, dense):
    found = subject.layout.split(IMPORTANCES[name](subject))
    np.testing.assert_allclose(found["conv1_1"], convolution, rtol=1e-12)
    np.testing.assert_allclose(found["fc1"], [0, 0, 0, 0, 0, 0, dense], rtol=1e-12)


def test_tied_channels_count_all_kernels_that_make_them():
    subject = subject_of("residual", ["tied"])
    arrays = arrays_of(subject.model.network)
    makers = ["stem.convolution.kernel", "block1.second.kernel", "block2.second.kernel"]
    expected = np.sqrt(sum(np.square(arrays[name].astype(float)).sum((0, 1, 2)) for name in makers))
    np.testing.assert_allclose(IMPORTANCES["magnitude-l2-raw"](subject), expected, rtol=1e-6)


@pytest.fixture
def grouped(monkeypatch):
    """``subject(names)`` of a network with groups, a depthwise layer that widens and a concatenation."""
    made = {"mine:grouped": lambda rngs, *, input_shape, classes: GroupedCNN(rngs)}
    monkeypatch.setattr(factories, "_FACTORIES", made)
    network = ModuleArchitecture("mine:grouped", (8, 8, 3), 5).blank()
    rng = np.random.default_rng(0)
    sizes = {group.name: group.size for group in network.filter_groups}
    model = Model(network, Normalisation((0.5,) * 3, (0.25,) * 3), tuple("abcde"))
    specs = {f"{stage.name}.{path}": spec for stage in network.stages for path, spec in stage.specs().items()}
    shapes = {name: [extent(axis, sizes) for axis in spec.axes] for name, spec in specs.items()}
    set_arrays(network, {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()})

    def subject(*names):
        layout = Layout(names, tuple(sizes[name] for name in names))
        sensitivity = {name: array for name, array in arrays_of(network).items() if array.ndim > 1}
        images, labels = np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, np.int32)
        return Subject(
            Model(network, model.normalisation, model.classes, sensitivity=sensitivity), layout, images, labels
        )

    return subject


def kernel_of(subject, layer):
    [kernel] = [
        array for name, array in arrays_of(subject.model.network).items() if name.endswith(f"{layer}.kernel")
    ]
    return kernel.astype(np.float64)


@pytest.mark.parametrize(("method", "part"), [("magnitude-l1-raw", np.abs), ("karnin", lambda array: array)])
def test_every_filter_of_a_group_counts_for_it(grouped, method, part):
    """Neighbouring filters belong together: two for each input channel, or half of them for each of two groups."""
    subject = grouped("halves", "before")
    assert subject.layout.sizes == (2, 4)
    expected = {
        "halves": sum(
            part(kernel_of(subject, name)).sum((0, 1, 2)).reshape(2, 4).sum(1) for name in ("halves", "grouped")
        ),
        "before": part(kernel_of(subject, "before")).sum((0, 1, 2))
        + part(kernel_of(subject, "depthwise")).sum((0, 1, 2)).reshape(4, 2).sum(1),
    }
    found = subject.layout.split(IMPORTANCES[method](subject))
    for name, sums in expected.items():
        if method == "karnin":
            sums = (sums - sums.min()) / (sums.max() - sums.min())
        np.testing.assert_allclose(found[name], sums, rtol=1e-5)


def test_filters_of_a_concatenation_count_what_is_added_to_them(grouped):
    subject = grouped("stem", "stem#2")
    stem = np.abs(kernel_of(subject, "stem")).sum((0, 1, 2))
    expected = {
        "stem": stem[:2] + np.abs(kernel_of(subject, "narrow")).sum((0, 1, 2)),
        "stem#2": stem[2:] + np.abs(kernel_of(subject, "wide")).sum((0, 1, 2)),
    }
    found = subject.layout.split(IMPORTANCES["magnitude-l1-raw"](subject))
    for name, sums in expected.items():
        np.testing.assert_allclose(found[name], sums, rtol=1e-5)


class OutputsFirst(nnx.Module):
    """A kernel as PyTorch stores it."""

    def __init__(self, rngs):
        self.kernel = nnx.Param(jnp.arange(1.0, 55.0).reshape(3, 2, 3, 3))
        self.head = nnx.Linear(3, 5, rngs=rngs)

    def __call__(self, x):
        numbers = ("NHWC", "OIHW", "NHWC")
        x = jax.lax.conv_general_dilated(x, self.kernel[...], (1, 1), "SAME", dimension_numbers=numbers)
        return self.head(nnx.relu(x).mean((1, 2)))


def test_filters_count_wherever_their_axis_is_and_also_the_only_one(monkeypatch):
    monkeypatch.setitem(
        factories._FACTORIES, "own:network", lambda rngs, *, input_shape, classes: OutputsFirst(rngs)
    )
    network = ModuleArchitecture("own:network", (8, 8, 2), 5).build()
    [group] = network.filter_groups
    sums = np.arange(1.0, 55.0).reshape(3, -1).sum(axis=1)
    for keep in (np.ones(3, bool), np.arange(3) == 1):
        model = Model(prune(network, {group.name: keep}), Normalisation((0.5,) * 2, (0.25,) * 2), tuple("abcde"))
        layout = Layout((group.name,), (int(keep.sum()),))
        subject = Subject(model, layout, np.zeros((1, 8, 8, 2), np.uint8), np.zeros(1, np.int32))
        np.testing.assert_allclose(IMPORTANCES["magnitude-l1-raw"](subject), sums[keep])
