"""Compensation and refit of traced networks: the same as of our own networks, and repairs that are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import arrays_of, set_arrays
from models.compensation import aims
from models.compensation.aims import RefitAims
from models.compensation.coefficients import METHODS
from models.compensation.folding import compensated
from models.compensation.method import Compensation
from models.compensation.moments import gather_moments
from models.compensation.refit import refitted
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.pruning import prune
from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from tests.models.support.gains import assert_gains
from tests.models.support.imported_pairs import KINDS, NORMALISATION, images, pair
from tests.models.support.small_networks import assert_close, logits, random_keeps

PLAIN = Normalisation((0.5, 0.5), (0.25, 0.25))


@pytest.fixture(scope="module", params=KINDS)
def networks(request, tmp_path_factory):
    pytest.importorskip("onnx")
    ours, imported, names = pair(request.param, tmp_path_factory.mktemp("onnx"))
    return ours.network, imported.network, names


@pytest.fixture(scope="module")
def residual_networks(tmp_path_factory):
    pytest.importorskip("onnx")
    ours, imported, names = pair("resnet", tmp_path_factory.mktemp("onnx"))
    return ours.network, imported.network, names


def both_keeps(network, names, seed, share=0.6):
    keeps = random_keeps(network.filter_groups, np.random.default_rng(seed), share)
    return keeps, {names[group]: keep for group, keep in keeps.items()}


def moments_of(network):
    return gather_moments(network, NORMALISATION, images(), [group.name for group in network.filter_groups])


def test_an_imported_network_is_compensated_as_ours_is(networks):
    ours, imported, names = networks
    inputs = NORMALISATION(jnp.asarray(images(9)))
    products = [moments_of(network) for network in (ours, imported)]
    assert len(products[0]) == len(products[1])
    for seed, method in enumerate(METHODS):
        keeps, same = both_keeps(ours, names, seed)
        expected = logits(compensated(ours, keeps, Compensation(method, products[0])), inputs, keeps)
        changed = compensated(imported, same, Compensation(method, products[1]))
        assert_close(logits(changed, inputs, same), expected)
    assert_close(logits(prune(changed, same), inputs), expected)


def test_an_imported_network_is_refitted_as_ours_is(residual_networks, monkeypatch):
    monkeypatch.setattr(aims, "PLACES", 64)
    ours, imported, names = residual_networks
    inputs = NORMALISATION(jnp.asarray(images(9)))
    keeps, same = both_keeps(ours, names, 5)
    expected = logits(refitted(RefitAims(ours, NORMALISATION, images()), ours, keeps), inputs, keeps)
    changed = refitted(RefitAims(imported, NORMALISATION, images()), imported, same)
    np.testing.assert_allclose(logits(changed, inputs, same), expected, rtol=1e-2, atol=1e-2)
    assert_close(logits(prune(changed, same), inputs), logits(changed, inputs, same))


def test_the_sums_behind_the_kernels_of_an_imported_network_are_ours(networks):
    """With batch norms, biases and shortcuts, up to the ReLU."""
    sums = []
    for network in networks[:2]:
        carry, found = NORMALISATION(jnp.asarray(images(3))), []
        for stage in network.stages:
            shown = stage.sums(carry, {})
            found += [(np.squeeze(shown[reader.kernel]), reader.sum[1:3]) for reader in stage.readers()]
            carry = stage(carry, {})
        sums.append(found)
    assert len(sums[0]) == len(sums[1])
    for (first, flags), (second, others) in zip(*sums, strict=True):
        np.testing.assert_allclose(second, first, atol=1e-3)
        assert others == flags


def test_what_a_kernel_reads_under_a_mask_is_what_it_reads_in_the_pruned_network(residual_networks):
    ours, imported, names = residual_networks
    observe = jax.jit(lambda stage, carry, keeps: (stage.observe(carry, keeps), stage(carry, keeps)))
    for network, keeps in zip((ours, imported), both_keeps(ours, names, 7), strict=True):
        sizes = {group.name: group.size for group in network.filter_groups}
        masked = pruned = NORMALISATION(jnp.asarray(images(3)))
        for stage, smaller in zip(network.stages, prune(network, keeps).stages, strict=True):
            (whole, masked), (cut, pruned) = observe(stage, masked, keeps), observe(smaller, pruned, {})
            for reader in stage.readers():
                places = np.tile(keeps[reader.group], whole[reader.kernel].shape[-1] // sizes[reader.group])
                assert_close(np.asarray(whole[reader.kernel])[..., places], cut[reader.kernel])


LAYOUTS = ((0, 1, 2, 3), (3, 2, 0, 1), (3, 0, 1, 2), (2, 0, 3, 1))
ENDINGS = ("bias", "batch norm", "folded", "minus", "from", "scaled")
"""What follows the middle convolution; each has an array that can hold a constant."""


class Drawn(nnx.Module):
    """Two convolutions and a dense layer, with arrays and values in drawn orders."""

    def __init__(self, layout, ending, joined, channels_first, outputs_first):
        self.layout, self.ending, self.joined = layout, ending, joined
        self.channels_first, self.outputs_first = channels_first, outputs_first
        self.first = nnx.Param(jnp.zeros((3, 3, 2, 5)))
        self.first_bias = nnx.Param(jnp.zeros(5))
        if joined:
            self.beside = nnx.Param(jnp.zeros((3, 3, 2, 4)))
        self.middle = nnx.Param(jnp.zeros((1, 1, 9 if joined else 5, 6)).transpose(layout))
        self.offset = nnx.Param(jnp.zeros(6))
        self.norm = nnx.BatchNorm(6, rngs=nnx.Rngs(0)) if ending == "batch norm" else None
        self.factor = nnx.Param(jnp.zeros(6)) if ending in ("folded", "scaled") else None
        self.head = nnx.Param(jnp.zeros((3, 6 * 16) if outputs_first else (6 * 16, 3)))

    def __call__(self, x):
        numbers = ("NHWC", "HWIO", "NHWC")
        convolve = jax.lax.conv_general_dilated
        y = convolve(x, self.first[...], (2, 2), "SAME", dimension_numbers=numbers) + self.first_bias[...]
        if self.joined:
            beside = nnx.relu(convolve(x, self.beside[...], (2, 2), "SAME", dimension_numbers=numbers))
            y = jnp.concatenate([beside, y], axis=-1)
        kernel = self.middle[...].transpose(np.argsort(self.layout))
        y = convolve(y, kernel, (1, 1), "VALID", dimension_numbers=numbers)
        if self.ending == "batch norm":
            y = self.norm(y)
        elif self.ending == "minus":
            y = y - self.offset[...]
        elif self.ending == "from":
            y = 0.3 - (self.offset[...] - y)
        elif self.ending == "folded":
            y = y * self.factor[...] + (self.offset[...] - 0.3 * self.factor[...])
        elif self.ending == "scaled":
            y = -y / self.factor[...] + self.offset[...].reshape(1, 1, 1, -1)
        else:
            y = y + self.offset[...]
        y = nnx.relu(y)
        y = (y.transpose(0, 3, 1, 2) if self.channels_first else y).reshape(y.shape[0], -1)
        return y @ self.head[...].T if self.outputs_first else y @ self.head[...]


def built(monkeypatch, make):
    """A network of a module of these factories, as shapes."""
    monkeypatch.setitem(factories._FACTORIES, "drawn:network", lambda rngs, *, input_shape, classes: make())
    return ModuleArchitecture("drawn:network", (8, 8, 2), 3).blank()


def fill(network, seed, change=None):
    """Give random arrays to a network; ``change`` gets the arrays of the module by name."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for stage in network.stages:
        for path, variable in nnx.to_flat_state(nnx.state(stage)):
            name = ".".join(map(str, path))
            drawn = rng.uniform(0.5, 1.5, variable.get_value().shape) * rng.choice([-1, 1])
            arrays[f"{stage.name}.{name}"] = np.ones_like(drawn) if "present" in name else drawn
            if name.endswith("var"):
                arrays[f"{stage.name}.{name}"] = np.abs(drawn)
            elif drawn.ndim > 1:
                arrays[f"{stage.name}.{name}"] = rng.standard_normal(drawn.shape)
    if change is not None:
        change({name.rpartition("arrays.")[2]: array for name, array in arrays.items()})
    set_arrays(network, arrays)


def test_what_a_kept_filter_explains_can_go_without_a_trace(monkeypatch):
    """Filter 3 is twice filter 1 and a constant, and filter 2 of the next layer is its filter 0."""
    monkeypatch.setattr("models.compensation.coefficients.RIDGE", 1e-9)
    shown = images(20)

    @settings(max_examples=5)
    @given(
        st.sampled_from(["merge", "linear"]),
        st.sampled_from(LAYOUTS),
        st.sampled_from(ENDINGS),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.integers(0, 99),
    )
    def check(method, layout, ending, joined, channels_first, outputs_first, seed):
        def repeat(arrays):
            arrays["first"][..., 3] = 2 * arrays["first"][..., 1]
            arrays["first_bias"][3] = 2 * arrays["first_bias"][1] + 0.7
            middle = arrays["middle"].transpose(np.argsort(layout))
            middle[..., 2] = middle[..., 0]
            for name, array in arrays.items():
                if name in ("offset", "factor") or name.startswith("norm."):
                    array[2] = array[0]

        network = built(monkeypatch, lambda: Drawn(layout, ending, joined, channels_first, outputs_first))
        fill(network, seed, repeat)
        assert network.not_compensated == ()
        assert all(
            reader.bias for stage in network.stages for reader in stage.readers() if reader.group == "first"
        )
        inputs = PLAIN(jnp.asarray(shown))
        keeps = {"first": np.arange(5) != 3, "middle": np.arange(6) != 2}
        compensation = Compensation(method, gather_moments(network, PLAIN, shown, ["first", "middle"]))
        expected = logits(network, inputs)
        found = logits(compensated(network, keeps, compensation), inputs, keeps)
        scale = np.abs(np.asarray(expected)).max()
        np.testing.assert_allclose(found, expected, atol=2e-4 * scale)
        assert np.abs(np.asarray(logits(network, inputs, keeps) - expected)).max() > 1e-2 * scale

    check()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_gain_of_a_sum_is_how_much_it_grows_with_the_kernel(monkeypatch, ending):
    network = built(monkeypatch, lambda: Drawn((3, 2, 0, 1), ending, True, True, False))
    fill(network, 0)
    keeps = {"first": np.arange(5) != 3, "middle": np.arange(6) != 2}
    assert_gains(network, PLAIN(jnp.asarray(images(3))), keeps)


class Shortcuts(nnx.Module):
    """A sum that a ReLU takes, one that a ReLU and a shortcut take, and one whose activation is another."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List(
            nnx.Conv(inputs, 4, (3, 3), use_bias=number != 1, rngs=rngs)
            for number, inputs in enumerate((2, 4, 4, 4, 4))
        )
        self.norms = nnx.List(nnx.BatchNorm(4, use_running_average=True, rngs=rngs) for _ in range(2))
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.layers[0](x))
        x = nnx.relu(x + self.norms[0](self.layers[1](x)))
        x = x - self.layers[2](x)
        x = x + 2 * self.layers[3](nnx.relu(self.norms[1](x)))
        return self.head(nnx.tanh(self.layers[4](x)).mean((1, 2)))


def test_sums_in_front_of_relus_other_activations_and_several_uses(monkeypatch):
    network = built(monkeypatch, Shortcuts)
    fill(network, 0)
    groups = [group.name for group in network.filter_groups]
    found = [reader for stage in network.stages for reader in stage.readers()]
    assert len({reader.kernel for reader in found}) == 5, groups
    assert [reader.sum.rectified for reader in found] == [True, False, False, False, False]
    assert [reader.sum.alone for reader in found] == [False, False, False, True, True]
    assert_gains(network, PLAIN(jnp.asarray(images(3))), {groups[0]: np.arange(4) != 1})


class Limited(nnx.Module):
    """Reads channels in ways in which nothing can be compensated, and in one in which no constant can be held."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.stem = nnx.Conv(2, 5, (3, 3), rngs=rngs)
        self.shared = nnx.Conv(5, 5, (3, 3), rngs=rngs)
        self.squeezed = nnx.Param(jnp.zeros((5, 4)))
        self.free = nnx.Linear(4, 6, use_bias=False, rngs=rngs)
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.shared(nnx.relu(self.shared(nnx.relu(self.stem(x))))))
        x = jnp.tanh(x @ jnp.tanh(self.squeezed[...]))
        return self.head(nnx.relu(self.free(jnp.mean(x, axis=(1, 2)))))


def test_what_cannot_be_compensated_is_named_and_the_rest_is_compensated(monkeypatch):
    network = built(monkeypatch, Limited)
    assert list(map(str, network.not_compensated)) == [
        "not compensated: shared, because its kernel has several uses",
        "not compensated: shared, because its kernel has several uses",
        "not compensated: squeezed, because its kernel is computed and not stored",
    ]
    fill(network, 0)
    names = [group.name for group in network.filter_groups]
    products = gather_moments(network, PLAIN, images(9), names)
    [without, with_bias] = products.values()
    assert not without[-1, :-1].any()
    assert with_bias[-1, :-1].any()
    keep = {"squeezed": np.arange(4) != 1}
    changed = arrays_of(compensated(network, keep, Compensation("linear", products)))
    differ = [name for name, array in arrays_of(network).items() if not np.array_equal(array, changed[name])]
    assert [name.rpartition("arrays.")[2] for name in differ] == ["free.kernel"]
    fitted = arrays_of(refitted(RefitAims(network, PLAIN, images(9)), network, keep))
    differ = [name for name, array in arrays_of(network).items() if not np.array_equal(array, fitted[name])]
    assert sorted(name.rpartition("arrays.")[2] for name in differ) == ["free.kernel", "head.bias", "head.kernel"]


class Alone(nnx.Module):
    """Nothing that reads channels has a kernel of its own."""

    def __init__(self):
        self.stem = nnx.Linear(2, 5, rngs=nnx.Rngs(0))
        self.kernel = nnx.Param(jnp.zeros((5, 3)))

    def __call__(self, x):
        return jnp.mean(nnx.relu(self.stem(x)) @ jnp.tanh(self.kernel[...]), axis=(1, 2))


def test_a_network_in_which_nothing_can_be_compensated_is_refused(monkeypatch):
    network = built(monkeypatch, Alone)
    fill(network, 0)
    with pytest.raises(CompensationError, match=r"can do nothing for drawn:network: .* leave out `compensate`"):
        gather_moments(network, PLAIN, images(2), ["stem"])
    with pytest.raises(CompensationError, match="cannot be refitted"):
        RefitAims(network, PLAIN, images(2))
