"""Maxima and averages over windows and over whole maps."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from models.onnx.operators.contract import Call, Operator
from models.onnx.operators.contraction import LAST, paddings
from models.onnx.value import Laid, Value, laid


def _windows(call: Call, value: Laid) -> tuple[list[int], list[int], list[int], list[tuple[int, int]]]:
    """Kernel, strides, dilations and padding of each axis of a map; ``ceil_mode`` pads behind."""
    size = value.shape[2:]
    kernel = list(call.attribute("kernel_shape"))
    strides = list(call.attribute("strides", [1] * len(kernel)))
    dilations = list(call.attribute("dilations", [1] * len(kernel)))
    padding = paddings(call, size, kernel, strides)
    if call.attribute("ceil_mode", 0):
        padding = [
            (front, behind + _beyond(extent + front + behind, (width - 1) * dilation + 1, stride, front, extent))
            for (front, behind), extent, width, stride, dilation in zip(
                padding, size, kernel, strides, dilations, strict=True
            )
        ]
    return kernel, strides, dilations, padding


def _beyond(padded: int, reach: int, stride: int, front: int, extent: int) -> int:
    """Zeros behind the padding that the last, incomplete window reads; it must begin in the map or in front."""
    steps = -(-(padded - reach) // stride)
    if steps * stride >= extent + front:
        steps -= 1
    return max(0, steps * stride + reach - padded)


def _reduced(value: Laid, initial: float, function: Sequence, windows: tuple) -> Laid:
    kernel, strides, dilations, padding = windows
    order = LAST[value.ndim]
    result = lax.reduce_window(
        value.to(order),
        np.float32(initial),
        function[0],
        (1, *kernel, 1),
        (1, *strides, 1),
        ((0, 0), *padding, (0, 0)),
        window_dilation=(1, *dilations, 1),
    )
    return Laid(result, order)


def max_pool(call: Call) -> Value:
    """``MaxPool``; its indices are not available."""
    value = laid(call.given(0))
    return _reduced(value, -np.inf, [lax.max], _windows(call, value))


def average_pool(call: Call) -> Value:
    """``AveragePool``: divides by the window, or by the part of the window that lies in the map."""
    value = laid(call.given(0))
    windows = _windows(call, value)
    summed = _reduced(value, 0.0, [lax.add], windows)
    return Laid(summed.array / _counts(call, value, windows), summed.order)


def _counts(call: Call, value: Laid, windows: tuple) -> np.ndarray:
    """``float32[1, ..., 1]``: the number that each window divides by."""
    size = value.shape[2:]
    kernel, strides, dilations, padding = windows
    counted = np.ones((), np.float32)
    explicit = paddings(call, size, kernel, strides)
    for axis, extent in enumerate(size):
        front, behind = padding[axis]
        inside = np.zeros(front + extent + behind)
        # What ceil_mode adds behind the padding never counts.
        first, end = (
            (0, extent + sum(explicit[axis]))
            if call.attribute("count_include_pad", 0)
            else (front, front + extent)
        )
        inside[first:end] = 1
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        starts = range(0, len(inside) - reach + 1, strides[axis])
        along = np.array([inside[start : start + reach : dilations[axis]].sum() for start in starts], np.float32)
        counted = counted[..., None] * along
    return np.asarray(counted[None, ..., None], np.float32)


def global_pool(call: Call) -> Value:
    """``GlobalAveragePool`` and ``GlobalMaxPool``: one value for each channel, with the axes kept."""
    value = laid(call.given(0))
    places = tuple(value.place(axis) for axis in range(2, value.ndim))
    function = jnp.mean if call.node.operator == "GlobalAveragePool" else jnp.max
    return Laid(function(value.array, axis=places, keepdims=True), value.order)


def local_response(call: Call) -> Value:
    """``LRN``: divides by a power of the mean square of neighbouring channels."""
    value = laid(call.given(0))
    size = call.attribute("size")
    channels = value.place(1)
    windows = [1] * value.ndim
    windows[channels] = size
    padding = [(0, 0)] * value.ndim
    padding[channels] = ((size - 1) // 2, size // 2)
    squares: jax.Array = lax.reduce_window(
        jnp.square(value.array), np.float32(0), lax.add, windows, (1,) * value.ndim, padding
    )
    scale = np.float32(call.attribute("alpha", 1e-4) / size)
    base = np.float32(call.attribute("bias", 1.0)) + scale * squares
    return Laid(value.array / base ** np.float32(call.attribute("beta", 0.75)), value.order)


POOLING: dict[str, Operator] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "LRN": local_response,
    "MaxPool": max_pool,
}
