"""Batch norm, instance norm, layer norm and softmax, and batch norms that an exporter folded away."""

import jax
import jax.numpy as jnp
import numpy as np

from models.onnx.operators.contract import Call, Operator
from models.onnx.value import Laid, Value, laid


def batch_norm(call: Call) -> Value:
    """``BatchNormalization`` in inference: by its own means and variances."""
    if call.attribute("training_mode", 0):
        raise ValueError("it is in training mode; export the network in evaluation mode (network.eval())")
    value = laid(call.given(0))
    scale, bias, mean, variance = (laid(call.given(place)).plain() for place in range(1, 5))
    shape = [1] * value.ndim
    shape[value.place(1)] = -1
    factor = scale / jnp.sqrt(variance + np.float32(call.attribute("epsilon", 1e-5)))
    # Mean and offset stay apart, so that each can be found in the program and changed.
    centred = value.array - mean.reshape(shape)
    return Laid(centred * factor.reshape(shape) + bias.reshape(shape), value.order)


def folded_norm(call: Call) -> Value:
    """:data:`FOLDED_NORM`: a value, a mean and a variance; no scale, no offset and no epsilon."""
    value = laid(call.given(0))
    mean, variance = (laid(call.given(place)).plain() for place in (1, 2))
    shape = [1] * value.ndim
    shape[value.place(1)] = -1
    factor = 1 / jnp.sqrt(variance)
    return Laid((value.array - mean.reshape(shape)) * factor.reshape(shape), value.order)


def instance_norm(call: Call) -> Value:
    """``InstanceNormalization``: each channel of each image by its own mean and variance."""
    value = laid(call.given(0))
    places = tuple(value.place(axis) for axis in range(2, value.ndim))
    mean = jnp.mean(value.array, places, keepdims=True)
    variance = jnp.mean(jnp.square(value.array - mean), places, keepdims=True)
    shape = [1] * value.ndim
    shape[value.place(1)] = -1
    scale, bias = (laid(call.given(place)).plain().reshape(shape) for place in (1, 2))
    normal = (value.array - mean) / jnp.sqrt(variance + np.float32(call.attribute("epsilon", 1e-5)))
    return Laid(normal * scale + bias, value.order)


def layer_norm(call: Call) -> Value:
    """``LayerNormalization``: over all axes from ``axis`` on, each place by its own mean and variance."""
    value = laid(call.given(0))
    first = call.attribute("axis", -1) % value.ndim
    places = tuple(value.place(axis) for axis in range(first, value.ndim))
    mean = jnp.mean(value.array, places, keepdims=True)
    variance = jnp.mean(jnp.square(value.array - mean), places, keepdims=True)
    normal = (value.array - mean) / jnp.sqrt(variance + np.float32(call.attribute("epsilon", 1e-5)))
    scale = _of_last_axes(call.given(1), value)
    offset = call.operand(2)
    return Laid(normal * scale + (0 if offset is None else _of_last_axes(offset, value)), value.order)


def _of_last_axes(operand: Value, value: Laid) -> jax.Array:
    """Numbers of the last axes of ``value`` in ONNX, as they meet its array."""
    numbers = laid(operand).plain()
    whole = numbers.reshape([1] * (value.ndim - numbers.ndim) + list(numbers.shape))
    return Laid(whole, tuple(range(value.ndim))).to(value.order)


def softmax(call: Call) -> Value:
    """``Softmax`` and ``LogSoftmax``: over one axis from version 13 on, over all axes from ``axis`` on before."""
    value = laid(call.given(0))
    function = jax.nn.softmax if call.node.operator == "Softmax" else jax.nn.log_softmax
    if call.opset >= 13:
        return Laid(function(value.array, axis=value.place(call.attribute("axis", -1))), value.order)
    first = call.attribute("axis", 1) % value.ndim
    places = tuple(value.place(axis) for axis in range(first, value.ndim))
    return Laid(function(value.array, axis=places), value.order)


FOLDED_NORM = "evoprune.FoldedNorm"
"""An operation of ours, which no file has: see :mod:`models.onnx_import.folded_norms`."""

NORMALISATION: dict[str, Operator] = {
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LogSoftmax": softmax,
    "Softmax": softmax,
}
