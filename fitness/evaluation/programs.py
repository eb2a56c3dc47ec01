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
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from fitness.evaluation.folds import Fold, Key
from fitness.evaluation.structures import Structure
from models.arrays import take_or_zero, take_or_zero_on_host
from models.compensation import recalibration
from models.compensation.folding import folded
from models.contract import DType, Keeps, Matching, Norm
from models.normalisation import Normalisation

MOST_PROGRAMS = 1_000
"""Most compiled programs that the process holds for all its evaluators.

On a CPU a program takes about 2 MB and two dozen memory mappings. Linux allows a process 65,530 mappings, and XLA
ends the process when none is left. Dropped programs come back from JAX's persistent cache.
"""


Tail = tuple[Structure, ...]
"""The stages that run together at the end: the last one that a mask can change, and all that follow."""


Take = Callable[[Any, Any, int], Any]
"""Slices of an array at indices along an axis."""


class Narrow(NamedTuple):
    """What a stage needs of its arrays where some channels are left out.

    Attributes:
        arrays: path -> the array at some channels; only those that change.
        lost: reader -> rows of removed channels ``float32[..., p * r, o]``, as in
            :func:`models.compensation.folding.lost_rows`.
    """

    arrays: dict[str, Any]
    lost: dict[Key, Any]


def _narrowed(
    take: Take,
    structure: Structure,
    arrays: Mapping[str, Any],
    kernels: Mapping[Key, Any],
    taken: Mapping[int, Any],
    removed: Mapping[Key, Any],
) -> Narrow:
    """Take some channels of the arrays of a stage.

    Args:
        take: slices of an array; see :func:`models.arrays.take_or_zero`.
        structure: of the stage.
        arrays: of the whole stage, by variable path.
        kernels: of its readers, whole, ``[..., rows, outputs]``.
        taken: number of an axis in ``structure.axes`` -> indices to keep, ``int32[k]``; axes that are absent stay
            whole.
        removed: reader -> rows of its kernel to give as lost, ``int32[p * r]``.
    """
    indices = {structure.axes[number]: each for number, each in taken.items()}
    narrow: dict[str, Any] = {}
    for path, spec in structure.stage.specs().items():
        for number, axis in enumerate(spec.axes):
            if axis in indices:
                narrow[path] = take(narrow.get(path, arrays[path]), indices[axis], number)
    lost = {}
    for reader in structure.stage.readers():
        key = reader.kernel, reader.group
        if key in removed:
            rows = take(kernels[key], removed[key], -2)
            lost[key] = take(rows, indices[reader.outputs], -1) if reader.outputs in indices else rows
    return Narrow(narrow, lost)


narrow = jax.jit(partial(_narrowed, take_or_zero), static_argnums=0)
"""As :func:`narrow_on_host`, on the device."""

narrow_on_host = partial(_narrowed, take_or_zero_on_host)
"""See :func:`_narrowed`. Nothing is compiled for the widths."""


@partial(jax.jit, static_argnums=(0, 1))
def fold(
    structure: Structure,
    widths: tuple[tuple[str, int], ...],
    arrays: Mapping[str, jax.Array],
    lost: Mapping[Key, jax.Array],
    folds: Mapping[Key, Fold],
) -> dict[str, jax.Array]:
    """The kernels and biases of a stage that include compensation.

    Args:
        structure: of the stage.
        widths: name of each group that the arrays run over, and its channels there.
        arrays: of the stage, at these widths.
        lost: see :class:`Narrow`.
        folds: the compensation.
    """
    found: dict[str, jax.Array] = {}
    for reader in structure.stage.readers():
        key = reader.kernel, reader.group
        if key in folds:
            found |= folded(reader, {**arrays, **found}, lost[key], dict(widths), folds[key])
    return found


@partial(jax.jit, static_argnums=(0, 1, 2))
def prepare(structure: Structure, backend: str, precision: DType, arrays: Mapping[str, jax.Array]) -> Any:
    """Bring the arrays of a stage into the form that computes fastest.

    Args:
        structure: of the stage.
        backend: :func:`models.lowering.choice.target`, which decides the form; here only to tell programs apart.
        precision: of the result.
        arrays: by variable path, at any widths.
    """
    return structure.stage.prepare(arrays, precision)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def calibrate(
    structure: Structure,
    backend: str,
    precision: DType,
    normalisation: Normalisation | None,
    measured: tuple[Norm, ...],
    arrays: Mapping[str, jax.Array],
    carry: jax.Array,
    keeps: Keeps,
    matchings: Mapping[str, Matching],
) -> tuple[dict[str, jax.Array], jax.Array]:
    """The statistics of some batch norms with the arrays of a stage, and the carry behind the stage.

    One program sees all calibration images, so the sums always have the same order.
    """
    inputs = carry if normalisation is None else normalisation(carry)
    return recalibration.calibrate(structure.stage, arrays, precision, inputs, keeps, measured, matchings)


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
    """Predicted classes ``int32[b]``; -1 where a logit is NaN or infinity."""
    logits = _logits(tail, normalisation, weights, carry, keeps)
    classes = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jnp.where(jnp.isfinite(logits).all(axis=-1), classes, -1)


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


_PROGRAMS: tuple[Any, ...] = (narrow, fold, prepare, calibrate, run, count, predict, margins)

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
        if program is narrow_on_host:
            return _narrowed(_taken_shape, *arguments)
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


def _taken_shape(array: Any, indices: np.ndarray, axis: int) -> jax.ShapeDtypeStruct:
    shape = list(array.shape)
    shape[axis] = len(indices)
    return jax.ShapeDtypeStruct(shape, array.dtype)


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
