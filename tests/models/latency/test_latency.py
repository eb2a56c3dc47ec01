"""The latency table: its interpolation, its order, and what is timed."""

import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.cost import masked_cost
from models.errors import LatencyError
from models.latency import measuring
from models.latency.table import LatencyTable, StageLatency, grid, monotone
from models.networks.resnet import ResNetArchitecture
from models.pruning import prune
from models.tracing.architecture import ModuleArchitecture
from tests.models.support.small_networks import filled, small

WIDTHS = ((1, 3, 8), (1, 2))
TIMES = arrays.arrays(np.float64, (3, 2), elements=st.floats(0.001, 100))


def tabled(times):
    return StageLatency("stage", ("a", "b"), WIDTHS, monotone(times))


@given(TIMES)
def test_more_channels_never_take_less(times):
    table = monotone(times)
    assert (np.diff(table, axis=0) >= 0).all()
    assert (np.diff(table, axis=1) >= 0).all()
    assert (table >= times).all()
    np.testing.assert_array_equal(monotone(table), table)


@given(TIMES)
def test_times_are_exact_in_the_grid_and_lie_between_their_neighbours_elsewhere(times):
    stage = tabled(times)
    for i, a in enumerate(WIDTHS[0]):
        for j, b in enumerate(WIDTHS[1]):
            assert stage({"a": np.array([a]), "b": np.array([b])}, 1) == stage.milliseconds[i, j]
    every = np.arange(1, 9)
    for j, b in enumerate(WIDTHS[1]):
        # By hand, along one width at a time.
        column = stage.milliseconds[:, j]
        found = stage({"a": every, "b": np.full(8, b)}, 8)
        np.testing.assert_allclose(found, np.interp(every, WIDTHS[0], column), rtol=1e-12)
        assert (np.diff(found) >= -1e-12 * column.max()).all()
        assert (found <= stage({}, 1)).all()


def test_a_table_comes_back_from_json_and_odd_ones_do_not():
    table = LatencyTable((tabled(np.array([[1, 2], [0.3, 4], [5, 1 / 3]])),), 1, "a device")
    entry = json.loads(json.dumps(table.to_json()))
    again = LatencyTable.from_json(entry)
    assert again.digest() == table.digest() != replace(table, batch=2).digest()
    assert again({}, 2).tolist() == table({}, 2).tolist() == [5, 5]
    odd = (("milliseconds", [[1, 2], [3, 4]]), ("milliseconds", [[3, 2], [2, 1], [1, 1]]), ("axes", []))
    for key, value in (*odd, ("milliseconds", [[0, 1]] * 3), ("milliseconds", [[1, float("nan")]] * 3)):
        with pytest.raises(ValueError, match="stage"):
            LatencyTable.from_json({**entry, "stages": [{**entry["stages"][0], key: value}]})


@pytest.mark.parametrize("size", [2, 3, 4, 5, 64, 511])
def test_the_grid_reaches_from_one_filter_to_all(size):
    found = grid(size, 4)
    assert (found[0], found[-1]) == (1, size)
    assert len(found) == min(4, size)


@pytest.mark.parametrize(
    "name", ["lenet5", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg-average", "resnet20"))]
)
def test_every_stage_is_timed_at_its_own_widths(name, monkeypatch):
    """Were parameters microseconds, the table would be the closed form: it is linear in each width."""
    network = small(name)
    groups = [group.name for group in network.filter_groups]
    timed = []

    def parameters(programs):
        timed.extend(programs)
        return [1e-6 * sum(size_of(program, path) for path in program.arrays) for program in programs]

    def size_of(program, path):
        return 0 if path.endswith(("norm.mean", "norm.var")) else program.arrays[path].size

    monkeypatch.setattr(measuring, "_seconds", parameters)
    table = measuring.measure(network, groups, 1)
    rng = np.random.default_rng(0)
    keeps = {group.name: rng.random((9, group.size)) < 0.6 for group in network.filter_groups}
    for keep in keeps.values():
        keep[:, 0] = True
    kept = {name: keep.sum(axis=1) for name, keep in keeps.items()}
    np.testing.assert_allclose(1000 * table(kept, 9), masked_cost(network, keeps, 9).parameters)
    # Only one group varies: all others are whole.
    alone = {groups[0]: keeps[groups[0]]}
    few = measuring.measure(network, groups[:1], 1)
    np.testing.assert_allclose(1000 * few(kept, 9), masked_cost(network, alone, 9).parameters)
    assert 1000 * table({}, 1) == pytest.approx(masked_cost(network, {}, 1).parameters)


def test_stages_of_the_same_program_are_timed_once(monkeypatch):
    network = filled(ResNetArchitecture("any", (3, 4), ((2, 2, 2), (3, 3)), 3, (5, 5, 2)))
    calls = []
    monkeypatch.setattr(
        measuring, "_seconds", lambda programs: calls.append(len(programs)) or [1.0] * len(programs)
    )
    table = measuring.measure(network, [group.name for group in network.filter_groups], 1)
    # The stem, the head, one unit of each stage, and the one that halves the map.
    assert (len(table.stages), len(calls)) == (7, 5)


@pytest.mark.parametrize(
    "name",
    ["vgg-average", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet-copied", "resnet20"))],
)
def test_what_is_timed_is_the_pruned_networks_stage(name):
    network = small(name)
    sizes = {group.name: group.size for group in network.filter_groups}
    widths = {group: (size + 1) // 2 for group, size in sizes.items()}
    smaller = prune(network, {group: np.arange(sizes[group]) < width for group, width in widths.items()})
    carry = jnp.asarray(
        np.random.default_rng(1).standard_normal((2, *network.architecture.input_shape)), jnp.float32
    )
    call = jax.jit(lambda stage, carry: stage(carry, {}))
    whole = carry
    for ours, theirs in zip(network.stages, smaller.stages, strict=True):
        program = measuring._program(ours, sizes, widths, whole.shape)
        whole, expected = call(ours, whole), call(theirs, carry)
        np.testing.assert_allclose(program.forward(program.arrays, carry), expected, rtol=1e-5, atol=1e-5)
        carry = expected


def test_real_times_are_above_zero(monkeypatch):
    monkeypatch.setattr(measuring, "POINTS", 2)
    network = small("mlp")
    table = measuring.measure(network, [group.name for group in network.filter_groups], 2)
    assert table.batch == 2
    assert 0 < table({}, 1)[0] < 1000


def test_a_users_own_module_is_refused():
    network = SimpleNamespace(architecture=ModuleArchitecture("mine:network", (8, 8, 3), 5))
    with pytest.raises(LatencyError, match="mine:network is a module of your own; give `objective` macs"):
        measuring.measure(network, ["conv1"], 1)
