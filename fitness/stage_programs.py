"""The compiled programs of a network: one for each stage, and one for the stages that no mask changes.

A program is compiled for each combination of widths that :class:`fitness.compaction.Compaction` allows and
some mask asks for, never for a mask.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.compaction import Compaction
from fitness.folds import Fold, Folds
from fitness.prefix_tree import branching
from models.axes import groups_of, rows
from models.compensation.compensation import Compensation
from models.compensation.folding import fold
from models.normalisation import Normalisation
from models.stages import ArraySpec, DType, Keeps, Network, Stage
from models.state import stage_arrays

MOST_PROGRAMS = 1_000
"""Compiled programs that are held. On a CPU each takes some 2 MB and two dozen memory mappings, of which Linux
allows a process 65,530; XLA ends the process when there are none left. Those that are needed again come back from
JAX's persistent cache."""


class Variant(NamedTuple):
    """How a run of a stage differs from that of the whole stage.

    ``indices``: group -> kept channels ``int32[width]``, for groups computed at a smaller width.
    ``keeps``: group -> slice ``bool[c]``, for groups computed whole.
    ``folds``: path of a kernel -> what compensation adds to it.
    """

    indices: dict[str, np.ndarray]
    keeps: dict[str, np.ndarray]
    folds: dict[str, Fold]


class StagePrograms:
    """A network on the default device, stage by stage."""

    def __init__(
        self,
        network: Network,
        normalisation: Normalisation,
        layout: Layout,
        compaction: Compaction,
        precision: DType,
        compensation: Compensation | None = None,
    ):
        stages = list(network.stages)
        changing = branching(layout, stages)
        self.chain = stages[:changing]
        """Stages that some mask can change; the last one is run together with all that follow."""
        self._layout = layout
        self._compaction = compaction
        self._folds = Folds(compensation, compaction)
        self._arrays = [stage_arrays(stage) for stage in stages]
        self._whole: dict[int, Any] = {}
        sizes = {group.name: group.size for group in network.filter_groups}
        self._prepare = [jax.jit(partial(_prepare, stage, precision, sizes)) for stage in stages]
        first = [normalisation] + [None] * (changing - 1)
        self._run = [
            jax.jit(partial(_run, stage, before))
            for stage, before in zip(self.chain[:-1], first[:-1], strict=True)
        ]
        tail = stages[changing - 1 :]
        self._count = jax.jit(partial(_count, tail, first[-1]))
        self._predict = jax.jit(partial(_predict, tail, first[-1]))
        self._margins = jax.jit(partial(_margins, tail, first[-1]))
        self._unchanged = range(changing, len(stages))

    def variant(self, number: int, mask: np.ndarray) -> Variant:
        """What ``bool[f]`` makes of stage ``number``."""
        stage = self.chain[number]
        slices = self._layout.split(mask)
        variant = Variant({}, {}, self._folds.of(stage, slices))
        for name in (stage.reads, *stage.groups, stage.writes):
            if name is None or name not in slices:
                continue
            indices = self._compaction.indices(slices[name])
            if indices is not None:
                variant.indices[name] = indices
            elif name == stage.reads or name in stage.groups:
                variant.keeps[name] = slices[name]
        return variant

    def weights(self, number: int, variant: Variant) -> Any:
        """The prepared weights of stage ``number``; those of the whole stage are kept for the next time.

        Drops all programs first if there are too many.
        """
        if self.compiled() >= MOST_PROGRAMS:
            self._drop_programs()
        if variant.indices or variant.folds:
            return self._prepare[number](self._arrays[number], variant.indices, variant.folds)
        if number not in self._whole:
            self._whole[number] = self._prepare[number](self._arrays[number], {}, {})
        return self._whole[number]

    def run(self, number: int, weights: Any, carry: jax.Array, keeps: Keeps) -> jax.Array:
        """The carry behind stage ``number``, which is not the last of the chain."""
        return self._run[number](weights, carry, keeps)

    def count(self, weights: Any, carry: jax.Array, keeps: Keeps, labels: jax.Array) -> jax.Array:
        """``int32[2]``: correct images of the batch, images with NaN or infinity among their logits."""
        return self._count(self._tail(weights), carry, keeps, labels)

    def predict(self, weights: Any, carry: jax.Array, keeps: Keeps, labels: jax.Array) -> jax.Array:
        """Predicted classes ``int32[b]``."""
        return self._predict(self._tail(weights), carry, keeps)

    def margins(self, weights: Any, carry: jax.Array, keeps: Keeps, labels: jax.Array) -> jax.Array:
        """``float32[b]``: logit of the right class less the highest other one."""
        return self._margins(self._tail(weights), carry, keeps, labels)

    def compiled(self) -> int:
        """Compiled programs that are held."""
        return sum(program._cache_size() for program in self._programs())

    def _programs(self) -> Sequence[Any]:
        return (*self._prepare, *self._run, self._count, self._predict, self._margins)

    def _drop_programs(self) -> None:
        for program in self._programs():
            program.clear_cache()

    def _tail(self, weights: Any) -> list[Any]:
        return [weights, *(self.weights(number, Variant({}, {}, {})) for number in self._unchanged)]


def _prepare(
    stage: Stage,
    precision: DType,
    sizes: Mapping[str, int],
    arrays: Mapping[str, jax.Array],
    indices: Mapping[str, jax.Array],
    folds: Mapping[str, Fold],
) -> Any:
    """Cut the arrays of a stage to the channels in ``indices`` and bring them into their fastest form."""
    specs = stage.specs()
    cut = {path: _cut(arrays[path], spec, sizes, indices) for path, spec in specs.items()}
    for reader in stage.readers():
        if reader.kernel in folds:
            removed, matrix, constant = folds[reader.kernel]
            inputs = {reader.group: removed}
            lost = _cut(arrays[reader.kernel], specs[reader.kernel], sizes, indices, inputs=inputs)
            kernel, bias = cut[reader.kernel], cut[reader.bias]
            cut[reader.kernel], cut[reader.bias] = fold(kernel, bias, lost, matrix, constant)
    return stage.prepare(cut, precision)


def _cut(
    array: jax.Array,
    spec: ArraySpec,
    sizes: Mapping[str, int],
    indices: Mapping[str, jax.Array],
    inputs: Mapping[str, jax.Array] | None = None,
) -> jax.Array:
    """Channels of the groups in ``indices``; on the last axis but one those in ``inputs``, if it is given."""
    for number, axis in enumerate(spec.axes):
        chosen = indices if inputs is None or number != len(spec.axes) - 2 else inputs
        if any(group in chosen for group in groups_of(axis)):
            # Zeros where a channel lies beyond the last.
            taken = rows(axis, sizes, chosen, jnp)
            array = jnp.take(array, taken, axis=number, mode="fill", fill_value=0)
    return array


def _run(
    stage: Stage, normalisation: Normalisation | None, weights: Any, carry: jax.Array, keeps: Keeps
) -> jax.Array:
    return stage.evaluate(weights, carry if normalisation is None else normalisation(carry), keeps)


def _logits(
    stages: Sequence[Stage],
    normalisation: Normalisation | None,
    weights: Sequence[Any],
    carry: jax.Array,
    keeps: Keeps,
) -> jax.Array:
    if normalisation is not None:
        carry = normalisation(carry)
    for number, (stage, prepared) in enumerate(zip(stages, weights, strict=True)):
        carry = stage.evaluate(prepared, carry, keeps if number == 0 else {})
    return carry


def _count(
    stages: Sequence[Stage],
    normalisation: Normalisation | None,
    weights: Sequence[Any],
    carry: jax.Array,
    keeps: Keeps,
    labels: jax.Array,
) -> jax.Array:
    logits = _logits(stages, normalisation, weights, carry, keeps)
    real = labels >= 0
    finite = jnp.isfinite(logits).all(axis=-1)
    correct = real & finite & (jnp.argmax(logits, axis=-1) == labels)
    return jnp.stack([jnp.sum(correct, dtype=jnp.int32), jnp.sum(real & ~finite, dtype=jnp.int32)])


def _predict(
    stages: Sequence[Stage],
    normalisation: Normalisation | None,
    weights: Sequence[Any],
    carry: jax.Array,
    keeps: Keeps,
) -> jax.Array:
    return jnp.argmax(_logits(stages, normalisation, weights, carry, keeps), axis=-1).astype(jnp.int32)


def _margins(
    stages: Sequence[Stage],
    normalisation: Normalisation | None,
    weights: Sequence[Any],
    carry: jax.Array,
    keeps: Keeps,
    labels: jax.Array,
) -> jax.Array:
    logits = _logits(stages, normalisation, weights, carry, keeps)
    right = labels[:, None] == jnp.arange(logits.shape[-1])
    others = jnp.max(jnp.where(right, -jnp.inf, logits), axis=-1)
    return jnp.sum(jnp.where(right, logits, 0), axis=-1) - others
