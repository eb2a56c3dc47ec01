"""Losses of the small networks in plain NumPy and float64, with gates on the filters where they are read."""

import numpy as np

from models.arrays import arrays_of


def losses(kind, subject, gates):
    """Cross entropy ``float64[n]`` of each image; ``gates``: group -> ``float64[c]``, absent = 1."""
    arrays = {name: array.astype(np.float64) for name, array in arrays_of(subject.model.network).items()}
    normalisation = subject.model.normalisation
    inputs = (subject.images / 255 - normalisation.mean) / normalisation.std
    logits = (_residual if kind == "residual" else _vgg)(subject.model.network, arrays, inputs, gates)
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), subject.labels]


def _vgg(network, arrays, carry, gates):
    for b, block in enumerate(network.architecture.blocks, 1):
        for c in range(1, len(block) + 1):
            name = f"conv{b}_{c}"
            carry = _convolved(carry, arrays, f"{name}.convolution")
            if network.architecture.batch_norm:
                mean, var, scale, bias = (
                    arrays[f"{name}.norm.{part}"] for part in ("mean", "var", "scale", "bias")
                )
                carry = (carry - mean) / np.sqrt(var + 1e-5) * scale + bias
            carry = np.maximum(carry, 0)
            if c == len(block):
                n, height, width, channels = carry.shape
                carry = carry.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
            carry = carry * gates.get(name, 1)
    carry = carry.reshape(len(carry), -1)
    for i in range(1, len(network.architecture.hidden) + 1):
        carry = np.maximum(_dense(carry, arrays, f"fc{i}"), 0) * gates.get(f"fc{i}", 1)
    return _dense(carry, arrays, "logits")


def _residual(network, arrays, carry, gates):
    carry = np.maximum(_convolved(carry, arrays, "stem.convolution"), 0)
    for i in range(1, len(network.architecture.inner) + 1):
        carry = carry * gates.get("tied", 1)
        hidden = np.maximum(_convolved(carry, arrays, f"block{i}.first"), 0) * gates.get(f"inner{i}", 1)
        carry = np.maximum(carry + _convolved(hidden, arrays, f"block{i}.second"), 0)
    return _dense((carry * gates.get("tied", 1)).mean((1, 2)), arrays, "head")


def _convolved(carry, arrays, name):
    height, width = carry.shape[1:3]
    padded = np.pad(carry, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = arrays[f"{name}.kernel"]
    parts = [padded[:, y : y + height, x : x + width] @ kernel[y, x] for y in range(3) for x in range(3)]
    return sum(parts) + arrays[f"{name}.bias"]


def _dense(carry, arrays, name):
    return carry @ arrays[f"{name}.dense.kernel"] + arrays[f"{name}.dense.bias"]
