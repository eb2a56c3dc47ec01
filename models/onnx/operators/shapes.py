"""Operations that move, cut and join indices. Static values are computed in NumPy."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from models.onnx.operators.contract import Call, Operator
from models.onnx.value import Laid, Value, laid, plain, static
from models.tracing.context import CUT

MOST_SLICES = 64
"""Runs of neighbouring indices up to which a ``Gather`` is a concatenation of slices."""


def cut_name(axis: int, number: int, output: str) -> str:
    """The name of a slice: its axis in ONNX, and its number among those that make a node's output."""
    return f"{CUT}{axis} {number} {output}"


def cut_of_name(name: str) -> tuple[int, str]:
    """The axis in ONNX and the node's output of a slice that :func:`cut_name` named."""
    axis, _, output = name.removeprefix(CUT).split(" ", 2)
    return int(axis), output


def _numbers(call: Call, place: int, name: str) -> list[int] | None:
    """Integers that are an attribute in older versions and an input in newer ones."""
    value = call.operand(place)
    if value is not None:
        return [int(number) for number in static(value, name).ravel()]
    found = call.attribute(name)
    return None if found is None else [int(number) for number in found]


def _changed(value: Value, function: Callable[[Any], Any]) -> Value:
    """The result of a function of an array in ONNX's order."""
    return plain(function(value.plain())) if isinstance(value, Laid) else np.asarray(function(value))


def reshape(call: Call) -> Value:
    """``Reshape``: 0 copies an extent, -1 takes the rest. A fixed number of images becomes one image."""
    value = call.given(0)
    target = _numbers(call, 1, "shape") or []
    if not call.attribute("allowzero", 0):
        target = [value.shape[axis] if extent == 0 else extent for axis, extent in enumerate(target)]
    if call.batch is not None and isinstance(value, Laid) and target and target[0] == call.batch:
        target = [1, *target[1:]]
    return _changed(value, lambda array: array.reshape(target))


def flatten(call: Call) -> Value:
    """``Flatten`` to two axes."""
    value = call.given(0)
    axis = call.attribute("axis", 1)
    front = int(np.prod(value.shape[: axis if axis >= 0 else value.ndim + axis], dtype=np.int64))
    return _changed(value, lambda array: array.reshape(front, -1))


def transpose(call: Call) -> Value:
    """``Transpose``; moves no data."""
    value = call.given(0)
    permutation = list(call.attribute("perm", range(value.ndim)[::-1]))
    if isinstance(value, Laid):
        return Laid(value.array, tuple(permutation.index(axis) for axis in value.order))
    return value.transpose(permutation)


def squeeze(call: Call) -> Value:
    """``Squeeze``: the axes named, or all of extent 1."""
    value = call.given(0)
    axes = _numbers(call, 1, "axes")
    if axes is None:
        axes = [axis for axis, extent in enumerate(value.shape) if extent == 1]
    gone = {axis % value.ndim for axis in axes}
    shape = [extent for axis, extent in enumerate(value.shape) if axis not in gone]
    return _changed(value, lambda array: array.reshape(shape))


def unsqueeze(call: Call) -> Value:
    """``Unsqueeze``: new axes of extent 1."""
    value = call.given(0)
    axes = _numbers(call, 1, "axes") or []
    rank = value.ndim + len(axes)
    new = {axis % rank for axis in axes}
    extents = iter(value.shape)
    shape = [1 if axis in new else next(extents) for axis in range(rank)]
    return _changed(value, lambda array: array.reshape(shape))


def concatenate(call: Call) -> Value:
    """``Concat``."""
    values = [call.given(place) for place in range(len(call.operands))]
    axis = call.attribute("axis")
    numbers = [value for value in values if not isinstance(value, Laid)]
    if len(numbers) == len(values):
        return np.concatenate(numbers, axis)
    parts = [laid(value) for value in values]
    order = parts[0].order
    return Laid(jnp.concatenate([part.to(order) for part in parts], parts[0].place(axis)), order)


def split(call: Call) -> list[Value]:
    """``Split``: parts of equal extent, or of the extents named."""
    value = call.given(0)
    axis = call.attribute("axis", 0)
    sizes = _numbers(call, 1, "split")
    extent, parts = value.shape[axis], len(call.node.outputs)
    if sizes is None:
        each = -(-extent // parts)
        sizes = [min(each, extent - each * part) for part in range(parts)]
    bounds = np.cumsum([0, *sizes])
    return [
        _piece(value, axis % value.ndim, int(start), int(end), name)
        for name, (start, end) in zip(call.node.outputs, pairwise(bounds), strict=True)
    ]


def cutting(call: Call) -> Value:
    """``Slice``: bounds are attributes up to version 9, inputs from 10 on."""
    value = call.given(0)
    starts, ends = _numbers(call, 1, "starts") or [], _numbers(call, 2, "ends") or []
    axes = _numbers(call, 3, "axes") or list(range(len(starts)))
    steps = _numbers(call, 4, "steps") or [1] * len(starts)
    parts = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        extent = value.shape[axis]
        # A bound in front of the first index cannot be written as a slice of Python when it counts down.
        parts[axis % value.ndim] = slice(*_bounds(start, end, step, extent), step)
    if set(steps) == {1}:
        for axis, part in parts.items():
            assert part.stop is not None, "bounds that count up are numbers"
            value = _piece(value, axis, part.start, part.stop, call.node.outputs[0])
        return value
    return _cut(value, parts)


def _bounds(start: int, end: int, step: int, extent: int) -> tuple[int, int | None]:
    start, end = (bound + extent if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return min(max(start, 0), extent), min(max(end, 0), extent)
    start = min(max(start, 0), extent - 1)
    return start, None if end < 0 else min(end, extent - 1)


def _cut(value: Value, parts: dict[int, slice]) -> Value:
    if not isinstance(value, Laid):
        return value[tuple(parts.get(axis, slice(None)) for axis in range(value.ndim))]
    return Laid(value.array[tuple(parts.get(axis, slice(None)) for axis in value.order)], value.order)


def _piece(value: Value, axis: int, start: int, end: int, name: str, number: int = 0) -> Value:
    """A slice along one axis, named so that its bounds may follow the number of channels."""
    piece = _cut(value, {axis: slice(start, end, 1)})
    if isinstance(piece, Laid) and piece.shape != value.shape:
        return Laid(checkpoint_name(piece.array, cut_name(axis, number, name)), piece.order)
    return piece


def gather(call: Call) -> Value:
    """``Gather`` by static indices; those of neighbours are slices."""
    value = call.given(0)
    indices = static(call.given(1), "indices")
    axis = call.attribute("axis", 0) % value.ndim
    if not isinstance(value, Laid):
        return value.take(indices, axis)
    extent = value.shape[axis]
    indices = _inside(indices, extent)
    runs = np.split(indices.ravel(), np.flatnonzero(np.diff(indices.ravel()) != 1) + 1)
    if indices.ndim > 1 or not indices.size or len(runs) > MOST_SLICES:
        others = [other for other in range(value.ndim) if other != axis]
        taken = _gathered(value.to((axis, *others)), indices[..., None])
        # In ONNX the new axes are where the old one was; here they lie in front.
        places = [other if other < axis else other - 1 + indices.ndim for other in others]
        return Laid(taken, (*range(axis, axis + indices.ndim), *places))
    name = call.node.outputs[0]
    pieces = [_piece(value, axis, int(run[0]), int(run[-1]) + 1, name, number) for number, run in enumerate(runs)]
    arrays = [piece.array for piece in pieces if isinstance(piece, Laid)]
    joined = Laid(arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays, value.place(axis)), value.order)
    if indices.ndim == 1:
        return joined
    order = tuple(other - (other > axis) for other in value.order if other != axis)
    return Laid(joined.array.squeeze(value.place(axis)), order)


def gather_places(call: Call) -> Value:
    """``GatherND`` by static indices of the first axes."""
    value, indices = laid(call.given(0)), static(call.given(1), "indices")
    if call.attribute("batch_dims", 0):
        raise ValueError("its indices differ from image to image (batch_dims)")
    extents = np.array(value.shape[: indices.shape[-1]])
    return plain(_gathered(value.plain(), _inside(indices, extents)))


def _inside(indices: np.ndarray, extent: Any) -> np.ndarray:
    found = np.where(indices < 0, indices + extent, indices)
    if ((found < 0) | (found >= extent)).any():
        raise ValueError(f"its indices are outside of {extent}")
    return found


def _gathered(array: jax.Array, indices: np.ndarray) -> jax.Array:
    """Elements ``indices[..., k]`` of the first ``k`` axes, with the other axes behind those of the indices."""
    count, batch = indices.shape[-1], indices.ndim - 1
    others = array.shape[count:]
    numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=tuple(range(batch, batch + len(others))),
        collapsed_slice_dims=tuple(range(count)),
        start_index_map=tuple(range(count)),
    )
    sizes = (1,) * count + others
    return jax.lax.gather(array, indices.astype(np.int32), numbers, sizes, mode="promise_in_bounds")


def expand(call: Call) -> Value:
    """``Expand``: broadcast to a shape."""
    value = call.given(0)
    shape = np.broadcast_shapes(value.shape, tuple(_numbers(call, 1, "shape") or ()))
    return _changed(value, lambda array: (jnp if isinstance(value, Laid) else np).broadcast_to(array, shape))


def pad(call: Call) -> Value:
    """``Pad``: amounts are attributes up to version 10, inputs from 11 on."""
    value = laid(call.given(0))
    mode = call.attribute("mode", "constant")
    amounts = _numbers(call, 1, "pads") or []
    axes = _numbers(call, 3, "axes") or list(range(value.ndim))
    filling = call.operand(2)
    number = call.attribute("value", 0.0) if filling is None else static(filling, "constant_value").item()
    widths, kept = [(0, 0)] * value.ndim, [slice(None)] * value.ndim
    for place, axis in enumerate(axes):
        before, after = amounts[place], amounts[len(axes) + place]
        where = value.place(axis)
        widths[where] = (max(before, 0), max(after, 0))
        # A negative amount takes elements away.
        kept[where] = slice(max(-before, 0), value.array.shape[where] - max(-after, 0))
    cropped = value.array[tuple(kept)]
    if mode == "constant":
        return Laid(jnp.pad(cropped, widths, constant_values=np.float32(number)), value.order)
    modes = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if mode not in modes:
        raise ValueError(f"its mode is {mode!r}")
    return Laid(jnp.pad(cropped, widths, mode=modes[mode]), value.order)


def depth_to_space(call: Call) -> Value:
    """``DepthToSpace``: channels become positions."""
    value = laid(call.given(0)).plain()
    images, channels, height, width = value.shape
    size = call.attribute("blocksize")
    each = channels // size**2
    if call.attribute("mode", "DCR") == "DCR":
        parts = value.reshape(images, size, size, each, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = value.reshape(images, each, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return plain(parts.reshape(images, each, height * size, width * size))


def shape(call: Call) -> Value:
    """``Shape``, with the part of it that version 15 can ask for."""
    found = np.array(call.given(0).shape, np.int64)
    return found[call.attribute("start", 0) : call.attribute("end")]


def filled(call: Call) -> Value:
    """``ConstantOfShape``."""
    value = call.attribute("value")
    number = np.zeros(1, np.float32) if value is None else np.asarray(value)
    # A view of one number takes no memory, whatever the shape.
    return np.broadcast_to(number.ravel()[0], tuple(static(call.given(0), "shape").tolist()))


def numbers_between(call: Call) -> Value:
    """``Range`` of static numbers."""
    return np.arange(*(static(call.given(place), "bound").item() for place in range(3)))


SHAPES: dict[str, Operator] = {
    "Concat": concatenate,
    "ConstantOfShape": filled,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherND": gather_places,
    "Pad": pad,
    "Range": numbers_between,
    "Reshape": reshape,
    "Shape": shape,
    "Slice": cutting,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
