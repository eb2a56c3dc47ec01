"""Timing a network's stages at a grid of widths, on JAX's default device.

A stage is timed as it is deployed: float32, compiled on its own, with its normalisation, activation and
pooling. The programs of a stage take turns, and the median of the turns counts, so that a temporary slowdown of
the machine affects all of them alike. Stages that compile to the same program share their times.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.arrays import stage_arrays
from models.axes import cut, groups_of
from models.contract import Network, Stage
from models.errors import LatencyError
from models.latency.table import LatencyTable, StageLatency, grid, monotone
from models.onnx.architecture import ONNXArchitecture
from models.tracing.architecture import ModuleArchitecture

POINTS = 4
"""Widths of each group at which a stage is timed."""
ROUNDS = 7
TURN_SECONDS = 0.002
"""A turn repeats calls for this long, so that the fastest stages are not timed by single calls."""
MOST_CALLS = 20

Forward = Callable[[Mapping[str, Any], Any], Any]


def measure(network: Network, groups: Collection[str], batch: int) -> LatencyTable:
    """Time every stage of a network.

    Args:
        network: left as it is.
        groups: names of the filter groups whose widths vary.
        batch: images at a time.

    Raises:
        LatencyError: the network is a user's own module or came from ONNX, so its stages have no widths of their
            own.
    """
    architecture = network.architecture
    if isinstance(architecture, ModuleArchitecture | ONNXArchitecture):
        kind = "a module of your own" if isinstance(architecture, ModuleArchitecture) else "an ONNX graph"
        raise LatencyError(
            f"`objective` latency needs layers that can be timed one by one, but {architecture.name} is {kind}; "
            "give `objective` macs."
        )
    sizes = {group.name: group.size for group in network.filter_groups}
    timed: dict[Any, np.ndarray] = {}
    carry = jax.ShapeDtypeStruct((batch, *architecture.input_shape), jnp.float32)
    stages = []
    for stage in network.stages:
        free = [group for group in _groups(stage) if group in groups and sizes[group] > 1]
        widths = tuple(grid(sizes[group], POINTS) for group in free)
        whole = _program(stage, sizes, {}, carry.shape)
        key = (whole.text, _roles(stage, free))
        if key not in timed:
            programs = [
                _program(stage, sizes, dict(zip(free, point, strict=True)), carry.shape)
                for point in product(*widths)
            ]
            shape = tuple(map(len, widths))
            timed[key] = monotone(1000 * np.array(_seconds(programs)).reshape(shape))
        stages.append(StageLatency(stage.name, tuple(free), widths, timed[key]))
        carry = jax.eval_shape(whole.forward, whole.arrays, carry)
    return LatencyTable(tuple(stages), batch, jax.devices()[0].device_kind)


class _Program(NamedTuple):
    """A stage at some widths, lowered but not compiled."""

    forward: Forward
    arrays: Mapping[str, Any]
    carry: tuple[int, ...]
    lowered: Any

    @property
    def text(self) -> str:
        return str(self.lowered.as_text())


def _groups(stage: Stage) -> list[str]:
    """Groups whose widths the stage's arrays have, each once, in the order of the arrays."""
    axes = (axis for spec in stage.specs().values() for axis in spec.axes)
    return list(dict.fromkeys(group for axis in axes for group in groups_of(axis)))


def _roles(stage: Stage, free: Sequence[str]) -> tuple[Any, ...]:
    """The axes that vary together: stages with equal programs may differ in these."""
    numbers = {group: number for number, group in enumerate(free)}
    arrays = tuple(
        (path, tuple(tuple(numbers.get(group) for group in groups_of(axis)) for axis in spec.axes))
        for path, spec in stage.specs().items()
    )
    return arrays, None if stage.reads is None else numbers.get(stage.reads)


def _program(
    stage: Stage, sizes: Mapping[str, int], widths: Mapping[str, int], carry: tuple[int, ...]
) -> _Program:
    """The stage with the first ``widths`` channels of some groups; ``carry``: shape of its whole input."""
    channels = {group: np.arange(width) for group, width in widths.items()}
    specs = stage.specs()
    arrays = {
        path: cut(np.asarray(array), specs[path], sizes, channels) for path, array in stage_arrays(stage).items()
    }
    shape = (*carry[:-1], widths.get(stage.reads or "", carry[-1]))
    graph, state = nnx.split(stage)

    def forward(arrays: Mapping[str, Any], carry: Any) -> Any:
        flat = []
        for path, variable in nnx.to_flat_state(state):
            name = ".".join(map(str, path))
            flat.append((path, variable.replace(arrays[name]) if name in arrays else variable))
        return nnx.merge(graph, nnx.from_flat_state(flat))(carry, {})

    lowered = jax.jit(forward).lower(arrays, jax.ShapeDtypeStruct(shape, jnp.float32))
    return _Program(forward, arrays, shape, lowered)


def _seconds(programs: Sequence[_Program]) -> list[float]:
    """Median seconds of a call of each program, all in turn."""
    calls = [_compiled(program) for program in programs]
    repeats = []
    for call in calls:
        call()
        repeats.append(max(1, min(MOST_CALLS, int(TURN_SECONDS / _turn(call, 1)))))
    turns: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, often, found in zip(calls, repeats, turns, strict=True):
            found.append(_turn(call, often))
    return [median(found) for found in turns]


def _compiled(program: _Program) -> Callable[[], None]:
    run = program.lowered.compile()
    arrays = jax.device_put(program.arrays)
    carry = jax.device_put(np.random.default_rng(0).standard_normal(program.carry, np.float32))

    def call() -> None:
        jax.block_until_ready(run(arrays, carry))

    return call


def _turn(call: Callable[[], None], often: int) -> float:
    """Seconds of a call, from ``often`` one behind the other."""
    started = perf_counter()
    for _ in range(often):
        call()
    return (perf_counter() - started) / often
