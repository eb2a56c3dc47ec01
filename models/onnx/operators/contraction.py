"""Convolutions and matrix products."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from models.onnx.operators.contract import Call, Operator
from models.onnx.value import Laid, Value, laid, plain

LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}
"""Number of axes -> the order in which channels are last."""


def paddings(
    call: Call, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Zeros in front of and behind each axis of a map.

    Raises:
        ValueError: ``auto_pad`` has an unknown value.
    """
    axes = len(kernel)
    auto = call.attribute("auto_pad", "NOTSET")
    dilations = call.attribute("dilations", [1] * axes)
    if auto in ("NOTSET", ""):
        pads = call.attribute("pads", [0] * 2 * axes)
        return [(pads[axis], pads[axes + axis]) for axis in range(axes)]
    if auto == "VALID":
        return [(0, 0)] * axes
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"its auto_pad is {auto!r}")
    found = []
    for extent, width, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        reach = (width - 1) * dilation + 1
        total = max(0, (-(-extent // stride) - 1) * stride + reach - extent)
        less, more = total // 2, total - total // 2
        found.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return found


def convolution(call: Call) -> Value:
    """``Conv``: kernels ``[filters, channels / groups, ...]``, with groups, strides and dilations."""
    images, kernel = laid(call.given(0)), laid(call.given(1))
    order = _last(images)
    spatial = images.ndim - 2
    strides = call.attribute("strides", [1] * spatial)
    padding = paddings(call, images.shape[2:], kernel.shape[2:], strides)
    letters = "DHW"[3 - spatial :]
    result = lax.conv_general_dilated(
        images.to(order),
        kernel.plain().transpose((*range(2, spatial + 2), 1, 0)),
        strides,
        padding,
        rhs_dilation=call.attribute("dilations", [1] * spatial),
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=call.attribute("group", 1),
    )
    bias = call.operand(2)
    if isinstance(bias, np.ndarray) and (bias == bias.flat[0]).all():
        # PyTorch fills up a missing bias with zeros, as many as there are filters.
        result = result + bias.flat[0]
    elif bias is not None:
        result = result + laid(bias).plain()
    return Laid(result, order)


def _last(value: Laid) -> tuple[int, ...]:
    if value.ndim not in LAST:
        raise ValueError(f"its input has {value.ndim} axes")
    return LAST[value.ndim]


def gemm(call: Call) -> Value:
    """``Gemm``: ``alpha A B + beta C``, both transposed if asked for."""
    left, right = laid(call.given(0)).plain(), laid(call.given(1)).plain()
    left = left.T if call.attribute("transA", 0) else left
    right = right.T if call.attribute("transB", 0) else right
    result = left @ right
    if call.attribute("alpha", 1.0) != 1.0:
        result = result * call.attribute("alpha")
    added = call.operand(2)
    if added is not None:
        bias, scale = laid(added).plain(), call.attribute("beta", 1.0)
        result = result + (bias if scale == 1.0 else bias * scale)
    return plain(result)


def matmul(call: Call) -> Value:
    """``MatMul``, with the axes in front broadcast as in NumPy."""
    return plain(jnp.matmul(laid(call.given(0)).plain(), laid(call.given(1)).plain()))


CONTRACTIONS: dict[str, Operator] = {"Conv": convolution, "Gemm": gemm, "MatMul": matmul}
