"""Depthwise convolutions by :mod:`models.lowering.depthwise` and by XLA, forward and with the gradient.

Command: ``python -m experiments.benchmarks.depthwise``; half a minute on 2 cores. On CPU expect shifted maps to
win by one to two orders of magnitude.
"""

import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

from models.lowering.depthwise import convolve_depthwise

BATCH = 16
ROUNDS = 5
SHAPES = (
    # Height, width, channels, kernel, stride.
    (24, 96, 24, 5, 1),
    (32, 32, 96, 3, 1),
    (32, 32, 96, 3, 2),
    (14, 14, 240, 5, 1),
    (7, 7, 576, 3, 1),
)


def by_xla(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: tuple[tuple[int, int], ...],
    dilations: tuple[int, int],
) -> jax.Array:
    """XLA's own."""
    return jax.lax.conv_general_dilated(
        inputs,
        kernel,
        strides,
        padding,
        rhs_dilation=dilations,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=inputs.shape[3],
    )


def energy(convolve: Callable[..., jax.Array], steps: Any, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """A number to take the gradient of."""
    return jnp.square(convolve(inputs, kernel, *steps)).sum()


def milliseconds(program: Callable[..., jax.Array], *arrays: jax.Array) -> float:
    """Median of some rounds after one."""
    times = []
    for _ in range(1 + ROUNDS):
        started = perf_counter()
        jax.block_until_ready(program(*arrays))
        times.append(perf_counter() - started)
    return 1000 * statistics.median(times[1:])


@click.command()
def main() -> None:
    """Print milliseconds for each shape, and how many times faster shifted maps are."""
    rng = np.random.default_rng(0)
    click.echo(f"{BATCH} images  {'map':>7} channels kernel stride  {'XLA':>8} {'shifted':>8} times (ms)")
    for height, width, channels, size, stride in SHAPES:
        inputs = jnp.asarray(rng.standard_normal((BATCH, height, width, channels)), jnp.float32)
        kernel = jnp.asarray(rng.standard_normal((size, size, 1, channels)), jnp.float32)
        steps = (stride, stride), ((size // 2, size // 2),) * 2, (1, 1)
        for what in ("forward", "gradient"):
            found = []
            for convolve in (by_xla, convolve_depthwise):
                result = partial(energy, convolve, steps)
                program = jax.jit(result if what == "forward" else jax.grad(result))
                found.append(milliseconds(program, inputs, kernel))
            slow, fast = found
            shape = f"{height:3}x{width:<3} {channels:8} {size}x{size:<4} {stride:6}"
            click.echo(f"{what:>9}  {shape} {slow:9.2f} {fast:8.2f} {slow / fast:5.1f}")


if __name__ == "__main__":
    main()
