"""The lowerings of ``models/lowering/`` on every convolution shape of a VGG-16.

Command: ``python -m experiments.benchmarks.convolution_lowering [--width-multiplier 0.25]``. The benchmark takes
a minute on 2 cores, and ``models/lowering/choice.py`` is based on it. On CPU expect Winograd to win from 24
channels on, and XLA's own lowering (Direct) to collapse at 2x2.

As in evaluation, each core computes a batch of its own, a few images at a time, and kernels are prepared
beforehand. GFLOP/s count the multiplications of the definition, including those that a lowering saves.
"""

import statistics
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import click
import jax
import jax.numpy as jnp
import numpy as np

from fitness.evaluation.counting import streams
from models.lowering.choice import choose
from models.lowering.contract import Lowering, in_steps
from models.lowering.direct import Direct
from models.lowering.winograd import Winograd
from models.networks.vgg import vgg
from models.windows import Window

BATCH = 64
ROUNDS = 5


def gflops(lowering: Lowering, inputs: list[jax.Array], kernel: jax.Array) -> float:
    """Median of some rounds after one; in a round every core computes a batch of ``inputs``."""
    filters = kernel.shape[3]

    def convolve(images: jax.Array, prepared: jax.Array) -> jax.Array:
        step = lowering.images_per_step(images.shape[3], filters)
        return in_steps(lambda part: jax.nn.relu(lowering.convolve(part, prepared)), images, step)

    program, prepared = jax.jit(convolve), jax.jit(lowering.prepare)(kernel)
    times = []
    with ThreadPoolExecutor(len(inputs)) as threads:
        for _ in range(1 + ROUNDS):
            started = perf_counter()
            list(threads.map(lambda images: jax.block_until_ready(program(images, prepared)), inputs))
            times.append(perf_counter() - started)
    images, height, width, channels = inputs[0].shape
    work = 2e-9 * len(inputs) * images * height * width * 9 * channels * filters
    return work / statistics.median(times[1:])


@click.command()
@click.option("--width-multiplier", default=1.0, show_default=True)
def main(width_multiplier: float) -> None:
    """Print GFLOP/s for each shape, and which lowering is chosen."""
    architecture = vgg("vgg16", (2, 2, 3, 3, 3), width_multiplier=width_multiplier)
    size, channels = 32, 3
    shapes = []
    for block in architecture.blocks:
        for filters in block:
            shapes.append((size, channels, filters))
            channels = filters
        size //= 2
    rng = np.random.default_rng(0)
    click.echo(f"{'map':>7} {'in':>5} {'out':>5} {'Direct':>8} {'Winograd':>8}  chosen (GFLOP/s)")
    for size, channels, filters in dict.fromkeys(shapes):
        shape = (BATCH, size, size, channels)
        inputs = [jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(streams())]
        kernel = jnp.asarray(rng.standard_normal((3, 3, channels, filters)), jnp.float32)
        lowerings: tuple[Lowering, ...] = (Direct(), Winograd(size, size))
        speeds = [gflops(lowering, inputs, kernel) for lowering in lowerings]
        chosen = choose((size, size), Window((3, 3)), channels, jax.default_backend(), jnp.float32)
        figures = " ".join(f"{speed:8.1f}" for speed in speeds)
        click.echo(f"{size:3}x{size:<3} {channels:5} {filters:5} {figures}   {type(chosen).__name__}")


if __name__ == "__main__":
    main()
