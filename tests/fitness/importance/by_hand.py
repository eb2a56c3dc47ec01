"""The small networks in plain NumPy and float64: their losses, with gates on the filters where they are read."""

import numpy as np

from models.arrays import arrays_of


def losses(kind, subject, gates):
    """Cross entropy ``float64[n]`` of each image; ``gates``: group -> ``float64[c]``, absent = 1."""
    arrays = {name: array.astype(np.float64) for name, array in arrays_of(subject.model.network).items()}
    forward = _residual if kind == "residual" else _vgg
    logits = forward(subject.model.network, arrays, normalised(subject), gates)
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), subject.labels]


def normalised(subject):
    """``float64[n, height, width, channels]``: the images as the network gets them."""
    normalisation = subject.model.normalisation
    return (subject.images / 255 - normalisation.mean) / normalisation.std


def _vgg(network, arrays, carry, gates):
    for b, block in enumerate(network.architecture.blocks, 1):
        for c in range(1, len(block) + 1):
            name = f"conv{b}_{c}"
            carry = convolved(carry, arrays, f"{name}.convolution")
            if network.architecture.batch_norm:
                mean, var, scale, bias = (
                    arrays[f"{name}.norm.{part}"] for part in ("mean", "var", "scale", "bias")
                )
                carry = (carry - mean) / np.sqrt(var + 1e-5) * scale + bias
            carry = np.maximum(carry, 0)
            if c == len(block):
                carry = maximum_pool(carry)
            carry = carry * gates.get(name, 1)
    carry = carry.reshape(len(carry), -1)
    for i in range(1, len(network.architecture.hidden) + 1):
        carry = np.maximum(dense(carry, arrays, f"fc{i}"), 0) * gates.get(f"fc{i}", 1)
    return dense(carry, arrays, "logits")


def _residual(network, arrays, carry, gates):
    carry = np.maximum(convolved(carry, arrays, "stem.convolution"), 0)
    for i in range(1, len(network.architecture.inner) + 1):
        carry = carry * gates.get("tied", 1)
        hidden = np.maximum(convolved(carry, arrays, f"block{i}.first"), 0) * gates.get(f"inner{i}", 1)
        carry = np.maximum(carry + convolved(hidden, arrays, f"block{i}.second"), 0)
    return dense((carry * gates.get("tied", 1)).mean((1, 2)), arrays, "head")


def maximum_pool(carry):
    """2x2, stride 2."""
    n, height, width, channels = carry.shape
    return carry.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def convolved(carry, arrays, name):
    """3x3 with padding, and bias."""
    height, width = carry.shape[1:3]
    padded = np.pad(carry, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = arrays[f"{name}.kernel"]
    parts = [padded[:, y : y + height, x : x + width] @ kernel[y, x] for y in range(3) for x in range(3)]
    return sum(parts) + arrays[f"{name}.bias"]


def dense(carry, arrays, name):
    """With bias."""
    return carry @ arrays[f"{name}.dense.kernel"] + arrays[f"{name}.dense.bias"]
