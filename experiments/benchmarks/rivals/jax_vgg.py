"""Rival B: a plain JAX loop over masks; a jitted textbook VGG with XLA's default for every operation."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from experiments.benchmarks.subject import Subject, even_batches
from fitness.evaluation.evaluator import usual_batch
from models.arrays import arrays_of
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation

Arrays = dict[str, jax.Array]


class JaxVGG:
    """float32, NHWC; see :class:`~experiments.benchmarks.rivals.loops.Loop`."""

    name = "plain JAX float32"

    def __init__(self, subject: Subject, images: int):
        """On the first ``images`` images: on CPU the default lowering is very slow."""
        self.total = min(images, len(subject.images))
        self._layout = subject.genome.layout
        self._arrays = jax.device_put(arrays_of(subject.model.network))
        self._batches = [
            (jnp.asarray(subject.images[part]), jnp.asarray(subject.labels[part]))
            for part in even_batches(self.total, usual_batch())
        ]
        architecture = subject.vgg
        self._classes = jax.jit(partial(_classes, architecture, subject.model.normalisation))
        self._count = jax.jit(partial(_count, architecture, subject.model.normalisation))

    def count(self, mask: np.ndarray) -> int:
        """Correct images under ``bool[f]``."""
        keeps = jax.device_put(self._layout.split(mask))
        # Summed on the device: one number leaves it, and batches follow each other without a pause.
        return int(sum(self._count(self._arrays, images, labels, keeps) for images, labels in self._batches))

    def predict(self, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[total]`` under ``bool[f]``."""
        keeps = jax.device_put(self._layout.split(mask))
        return np.concatenate([self._classes(self._arrays, images, keeps) for images, _ in self._batches])


def _count(
    architecture: VGGArchitecture,
    normalisation: Normalisation,
    arrays: Arrays,
    images: jax.Array,
    labels: jax.Array,
    keeps: Any,
) -> jax.Array:
    return jnp.sum(_classes(architecture, normalisation, arrays, images, keeps) == labels)


def _classes(
    architecture: VGGArchitecture, normalisation: Normalisation, arrays: Arrays, images: jax.Array, keeps: Any
) -> jax.Array:
    """``uint8[b, height, width, channels]`` -> ``int32[b]``."""
    carry = normalisation(images)
    for b, block in enumerate(architecture.blocks, 1):
        for c in range(1, len(block) + 1):
            name = f"conv{b}_{c}"
            kernel, bias = arrays[f"{name}.convolution.kernel"], arrays[f"{name}.convolution.bias"]
            numbers = ("NHWC", "HWIO", "NHWC")
            carry = lax.conv_general_dilated(carry, kernel, (1, 1), "SAME", dimension_numbers=numbers) + bias
            if architecture.batch_norm:
                mean, var, scale, shift = (
                    arrays[f"{name}.norm.{part}"] for part in ("mean", "var", "scale", "bias")
                )
                carry = (carry - mean) * lax.rsqrt(var + architecture.epsilon) * scale + shift
            carry = jnp.where(keeps[name], jax.nn.relu(carry), 0)
        carry = lax.reduce_window(carry, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    carry = carry.reshape(len(carry), -1)
    for i in range(1, len(architecture.hidden) + 1):
        carry = jax.nn.relu(carry @ arrays[f"fc{i}.dense.kernel"] + arrays[f"fc{i}.dense.bias"])
    logits = carry @ arrays["logits.dense.kernel"] + arrays["logits.dense.bias"]
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
