"""XLA's convolution against the lowerings of ``models/convolution.py``, on every convolution shape of a VGG-16.

Command: ``python -m experiments.benchmarks.convolution_lowering [--width-multiplier 0.25]``. Half a minute
on 2 cores. This is what ``models/convolution.py`` bases its choice on: expect positions to win by far
at 2x2, patches with 3 input channels, and XLA elsewhere or nearly so.
"""

import statistics
from collections.abc import Callable
from time import perf_counter

import click
import jax
import jax.numpy as jnp
import numpy as np

from models.convolution import choose_lowering
from models.lowering.patches import convolve_patches
from models.lowering.positions import convolve_positions
from models.registry import NETWORKS

BATCH = 64


def xla(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """The default lowering."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers)


LOWERINGS = (xla, convolve_patches, convolve_positions)


def seconds(function: Callable[..., jax.Array], *arguments: jax.Array) -> float:
    """Median of five calls after one."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(5):
        started = perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(perf_counter() - started)
    return statistics.median(times)


@click.command()
@click.option("--width-multiplier", default=1.0, show_default=True)
def main(width_multiplier: float) -> None:
    """Print GFLOP/s forward for each shape, and which lowering is chosen."""
    architecture = NETWORKS["vgg16"](width_multiplier=width_multiplier)
    size, channels = 32, 3
    shapes = []
    for block in architecture.blocks:
        for filters in block:
            shapes.append((size, channels, filters))
            channels = filters
        size //= 2
    rng = np.random.default_rng(0)
    click.echo(f"{'map':>7} {'in':>5} {'out':>5} {'XLA':>8} {'patches':>8} {'positions':>9}  chosen   (GFLOP/s)")
    for size, channels, filters in dict.fromkeys(shapes):
        inputs = jnp.asarray(rng.standard_normal((BATCH, size, size, channels)), jnp.float32)
        kernel = jnp.asarray(rng.standard_normal((3, 3, channels, filters)), jnp.float32)
        work = 2e-9 * BATCH * size * size * 9 * channels * filters
        # One product for each of a thousand positions only costs compile time.
        lowerings = LOWERINGS if size <= 8 else LOWERINGS[:2]
        speeds = [work / seconds(jax.jit(lowering), inputs, kernel) for lowering in lowerings]
        chosen = choose_lowering(inputs.shape, kernel.shape, (1, 1), "SAME", jax.default_backend())
        figures = " ".join(f"{speed:8.1f}" for speed in speeds).ljust(27)
        click.echo(f"{size:3}x{size:<3} {channels:5} {filters:5} {figures}   {chosen}")


if __name__ == "__main__":
    main()
