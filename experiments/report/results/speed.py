"""Measures the time of the original and the pruned network for one batch on this machine.

The networks run in turn, so that other work on the machine slows both, and medians are compared. The measurement
is short: one batch size, a few seconds. ``evoprune bench`` measures more.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fitness.evaluation.evaluator import on_gpu
from models.arrays import stage_arrays
from models.contract import Network
from models.normalisation import Normalisation

CPU_BATCH = 64
GPU_BATCH = 256
SECONDS = 2.0
"""Time of all passes after compilation; each network runs at least :data:`LEAST` times."""
LEAST = 5
MOST = 200


def measure_speed(original: Network, pruned: Network, normalisation: Normalisation) -> dict[str, Any]:
    """Median milliseconds for a batch and images/s of both, as plain values; float32, random images."""
    batch = GPU_BATCH if on_gpu() else CPU_BATCH
    shape = (batch, *original.architecture.input_shape)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    forwards = [_forward(network, normalisation) for network in (original, pruned)]
    for forward in forwards:
        jax.block_until_ready(forward(images))
    seconds: tuple[list[float], list[float]] = ([], [])
    begun = perf_counter()
    while len(seconds[0]) < LEAST or (perf_counter() - begun < SECONDS and len(seconds[0]) < MOST):
        for forward, measured in zip(forwards, seconds, strict=True):
            started = perf_counter()
            jax.block_until_ready(forward(images))
            measured.append(perf_counter() - started)
    base, fast = (median(measured) for measured in seconds)
    return {
        "device": jax.devices()[0].device_kind,
        "batch": batch,
        "passes": len(seconds[0]),
        "base_milliseconds": 1000 * base,
        "pruned_milliseconds": 1000 * fast,
        "base_images_per_second": batch / base,
        "pruned_images_per_second": batch / fast,
        "time_drop": 100 * (base - fast) / base,
    }


def _forward(network: Network, normalisation: Normalisation) -> Callable[[jax.Array], jax.Array]:
    """The compiled network with prepared weights: ``uint8`` images -> logits."""
    stages = list(network.stages)
    weights = [jax.jit(lambda a, s=stage: s.prepare(a, jnp.float32))(stage_arrays(stage)) for stage in stages]

    @jax.jit
    def run(weights: list[Any], images: jax.Array) -> jax.Array:
        carry = normalisation(images)
        for stage, prepared in zip(stages, weights, strict=True):
            carry = stage.evaluate(prepared, carry, {})
        return carry

    return lambda images: run(weights, images)
