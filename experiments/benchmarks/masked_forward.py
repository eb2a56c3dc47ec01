"""One masked forward of the plain network: no sharing between masks, nothing cut out."""

import statistics
from time import perf_counter

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.benchmarks import offspring
from experiments.benchmarks.subject import Subject, default_batch

REPEATS = 5


def forward_speed(subject: Subject) -> dict[str, float]:
    """``batch`` and ``images_per_second`` under one late mask: the median of some calls after one."""
    batch = min(len(subject.images), default_batch())
    graph, state = nnx.split(subject.model.network)
    mask = offspring.generation("late", subject.genome.layout).parents[0]
    keeps = jax.device_put(subject.genome.layout.split(mask))
    images = jax.jit(subject.model.normalisation)(jnp.asarray(subject.images[:batch]))
    forward = jax.jit(lambda state, images, keeps: nnx.merge(graph, state)(images, keeps))
    times = []
    for _ in range(1 + REPEATS):
        started = perf_counter()
        jax.block_until_ready(forward(state, images, keeps))
        times.append(perf_counter() - started)
    return {"batch": batch, "images_per_second": batch / statistics.median(times[1:])}
