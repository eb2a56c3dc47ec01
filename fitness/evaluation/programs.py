"""Compiled programs of stages, shared by every evaluator of the process.

A program is compiled once for a stage's *structure*: everything about the stage but the values of its arrays.
Arrays are arguments of the program. JAX adds the shapes of the arguments to the key: the batch, the widths that
:class:`fitness.evaluation.compaction.Compaction` allows and some mask asks for, and which groups are silenced or
compensated. No program depends on a mask.
"""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, Self
from weakref import WeakValueDictionary

import jax
import jax.numpy as jnp
from flax import nnx

from fitness.evaluation.folds import Fold, Key
from models.axes import ArraySpec, groups_of, rows
from models.compensation import recalibration
from models.compensation.folding import folded
from models.contract import DType, Keeps, Matching, Norm, Stage
from models.normalisation import Normalisation

MOST_PROGRAMS = 1_000
"""Most compiled programs that the process holds for all its evaluators.

On a CPU a program takes about 2 MB and two dozen memory mappings. Linux allows a process 65,530 mappings, and XLA
ends the process when none is left. Dropped programs come back from JAX's persistent cache.
"""


class Structure:
    """All of a stage but the values of its arrays; see :func:`structure_of`.

    Equal structures are one object, so programs find them by identity.

    Attributes:
        stage: the stage with shapes in place of arrays. A program that read an array from here, rather than from
            its arguments, would fail.
    """

    def __init__(self, graph: Any, state: Any):
        shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), state)
        self.stage: Stage = nnx.merge(graph, shapes)


_STRUCTURES: WeakValueDictionary[tuple[Any, str], Structure] = WeakValueDictionary()


def structure_of(stage: Stage) -> Structure:
    """The structure of a stage: one object for all stages that differ in nothing but the values of their arrays.

    Two structures are the same if their Flax graphs are: the class of every module in the stage, and every
    attribute that is no array (names, window, activation, pool, epsilon, dropout, ...). The graph of a traced
    stage holds its traced program, which equals itself alone, so two traces of a user's module share nothing.
    """
    graph, state = nnx.split(stage)
    # Python holds 1, 1.0 and True for equal, which a program need not do; their texts differ.
    key = graph, repr(graph.attributes)
    found = _STRUCTURES.get(key)
    if found is None:
        found = _STRUCTURES[key] = Structure(graph, state)
    return found


Tail = tuple[Structure, ...]
"""The stages that run together at the end: the last one that a mask can change, and all that follow."""


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def prepare(
    structure: Structure,
    backend: str,
    precision: DType,
    sizes: tuple[tuple[str, int], ...],
    arrays: Mapping[str, jax.Array],
    indices: Mapping[str, jax.Array],
    folds: Mapping[Key, Fold],
    statistics: Mapping[str, jax.Array],
) -> Any:
    """Cut the arrays of a stage to some channels and bring the arrays into the form that computes fastest.

    Args:
        structure: of the stage.
        backend: :func:`models.lowering.choice.target`, which decides the form; here only to tell programs apart.
        precision: of the result.
        sizes: name and size of each group that the arrays run over.
        arrays: of the whole stage, by variable path.
        indices: group -> channels to keep, ``int32[width]``, filled up with the group's size; groups that are
            absent stay whole.
        folds: compensation to add to kernels and biases.
        statistics: path of an array -> what :func:`calibrate` measured in its place.
    """
    return structure.stage.prepare(
        {**_cut_and_folded(structure, sizes, arrays, indices, folds), **statistics}, precision
    )


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5))
def calibrate(
    structure: Structure,
    backend: str,
    precision: DType,
    sizes: tuple[tuple[str, int], ...],
    normalisation: Normalisation | None,
    measured: tuple[Norm, ...],
    arrays: Mapping[str, jax.Array],
    indices: Mapping[str, jax.Array],
    folds: Mapping[Key, Fold],
    carry: jax.Array,
    keeps: Keeps,
    matchings: Mapping[str, Matching],
) -> tuple[dict[str, jax.Array], jax.Array]:
    """The statistics of some batch norms at the widths of ``indices``, and the carry behind the stage.

    One program sees all calibration images, so the sums always have the same order.
    """
    cut = _cut_and_folded(structure, sizes, arrays, indices, folds)
    inputs = carry if normalisation is None else normalisation(carry)
    specs, by_name = structure.stage.specs(), dict(sizes)
    narrow = {
        path: jax.tree.map(lambda part, path=path: _cut(part, specs[path], by_name, indices), matching)
        for path, matching in matchings.items()
    }
    return recalibration.calibrate(structure.stage, cut, precision, inputs, keeps, measured, narrow)


def _cut_and_folded(
    structure: Structure,
    sizes: tuple[tuple[str, int], ...],
    arrays: Mapping[str, jax.Array],
    indices: Mapping[str, jax.Array],
    folds: Mapping[Key, Fold],
) -> dict[str, jax.Array]:
    stage, by_name = structure.stage, dict(sizes)
    specs = stage.specs()
    cut = {path: _cut(arrays[path], spec, by_name, indices) for path, spec in specs.items()}
    for reader in stage.readers():
        if (reader.kernel, reader.group) in folds:
            prediction = folds[reader.kernel, reader.group]
            cut |= folded(reader, cut, arrays[reader.kernel], by_name, indices, prediction)
    return cut


def _cut(
    array: jax.Array, spec: ArraySpec, sizes: Mapping[str, int], indices: Mapping[str, jax.Array]
) -> jax.Array:
    """The channels in ``indices``; zeros where a channel lies beyond the last."""
    for number, axis in enumerate(spec.axes):
        if any(group in indices for group in groups_of(axis)):
            taken = rows(axis, sizes, indices, jnp)
            array = jnp.take(array, taken, axis=number, mode="fill", fill_value=0)
    return array


@partial(jax.jit, static_argnums=(0, 1, 2))
def run(
    structure: Structure,
    backend: str,
    normalisation: Normalisation | None,
    weights: Any,
    carry: jax.Array,
    keeps: Keeps,
) -> jax.Array:
    """The carry behind a stage; ``normalisation`` is that of the images in front of the first stage."""
    return structure.stage.evaluate(weights, carry if normalisation is None else normalisation(carry), keeps)


@partial(jax.jit, static_argnums=(0, 1, 2))
def count(
    tail: Tail,
    backend: str,
    normalisation: Normalisation | None,
    weights: list[Any],
    carry: jax.Array,
    keeps: Keeps,
    labels: jax.Array,
) -> jax.Array:
    """``int32[2]``: correct images of the batch, and images with NaN or infinity among their logits."""
    logits = _logits(tail, normalisation, weights, carry, keeps)
    real = labels >= 0
    finite = jnp.isfinite(logits).all(axis=-1)
    correct = real & finite & (jnp.argmax(logits, axis=-1) == labels)
    return jnp.stack([jnp.sum(correct, dtype=jnp.int32), jnp.sum(real & ~finite, dtype=jnp.int32)])


@partial(jax.jit, static_argnums=(0, 1, 2))
def predict(
    tail: Tail,
    backend: str,
    normalisation: Normalisation | None,
    weights: list[Any],
    carry: jax.Array,
    keeps: Keeps,
) -> jax.Array:
    """Predicted classes ``int32[b]``."""
    return jnp.argmax(_logits(tail, normalisation, weights, carry, keeps), axis=-1).astype(jnp.int32)


@partial(jax.jit, static_argnums=(0, 1, 2))
def margins(
    tail: Tail,
    backend: str,
    normalisation: Normalisation | None,
    weights: list[Any],
    carry: jax.Array,
    keeps: Keeps,
    labels: jax.Array,
) -> jax.Array:
    """``float32[b]``: the logit of the right class minus the highest other logit."""
    logits = _logits(tail, normalisation, weights, carry, keeps)
    right = labels[:, None] == jnp.arange(logits.shape[-1])
    others = jnp.max(jnp.where(right, -jnp.inf, logits), axis=-1)
    return jnp.sum(jnp.where(right, logits, 0), axis=-1) - others


def _logits(
    tail: Tail, normalisation: Normalisation | None, weights: list[Any], carry: jax.Array, keeps: Keeps
) -> jax.Array:
    if normalisation is not None:
        carry = normalisation(carry)
    for number, (structure, prepared) in enumerate(zip(tail, weights, strict=True)):
        carry = structure.stage.evaluate(prepared, carry, keeps if number == 0 else {})
    return carry


_PROGRAMS: tuple[Any, ...] = (prepare, calibrate, run, count, predict, margins)

Call = Callable[..., Any]
"""Takes a program and its arguments, and gives its results or their shapes."""


def call(program: Any, *arguments: Any) -> Any:
    """The results of a program."""
    return program(*arguments)


_ORDERED: dict[Any, Any] = {}
"""Program, and values or shapes of its arguments -> shapes of its results."""


class Orders:
    """Has threads compile programs. XLA compiles a program on one core, and does not hold Python's lock."""

    def __init__(self, threads: Executor):
        self._threads = threads
        self._under_way: list[Future[Any]] = []
        self._by_text: dict[str, Future[Any]] = {}

    def order(self, program: Any, *arguments: Any) -> Any:
        """The shapes of a program's results; the program is compiled unless it was ordered before.

        Arguments may be shapes in place of arrays. A call of the program with such arrays finds it compiled.
        """
        leaves, tree = jax.tree.flatten(arguments)
        kinds = tuple((leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else leaf for leaf in leaves)
        key = program, tree, kinds
        if key not in _ORDERED:
            lowered = program.lower(*arguments)
            self._submit(lowered)
            _ORDERED[key] = jax.tree.map(
                lambda result: jax.ShapeDtypeStruct(result.shape, result.dtype), lowered.out_info
            )
        return _ORDERED[key]

    def _submit(self, lowered: Any) -> None:
        """Compile; of equal programs, such as those of equal layers, one after the other.

        The second comes from JAX's persistent cache. Read while the first is written, it would be damaged.
        """
        text = hashlib.sha256(lowered.as_text().encode()).hexdigest()
        first = self._by_text.get(text)

        def compiled() -> None:
            if first is not None:
                # Submitted before this one, so some thread has begun with it.
                first.result()
            lowered.compile()

        self._by_text[text] = self._threads.submit(compiled)
        self._under_way.append(self._by_text[text])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until all programs are compiled; after an interruption, for none."""
        try:
            while kind is None and self._under_way:
                self._under_way.pop().result()
        finally:
            for future in self._under_way:
                future.cancel()


def held() -> int:
    """Compiled programs that the process holds."""
    called = sum(program._cache_size() for program in _PROGRAMS)
    return max(called, len(_ORDERED))


def make_room() -> None:
    """Drop all programs if there are too many."""
    if held() >= MOST_PROGRAMS:
        drop()


def drop() -> None:
    """Drop all programs. A program that is running ends as it would have."""
    for program in _PROGRAMS:
        program.clear_cache()
    _ORDERED.clear()
