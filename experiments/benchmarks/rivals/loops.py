"""Times loops over masks in turn: seconds for a mask, and ratios of contenders."""

import statistics
from collections.abc import Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Protocol

import click
import numpy as np

from experiments.benchmarks.rivals.jax_vgg import JaxVGG
from experiments.benchmarks.subject import Subject


class Loop(Protocol):
    """A rival that evaluates one mask after the other, on ``total`` images."""

    name: str
    total: int

    def count(self, mask: np.ndarray) -> int:
        """Correct images under ``bool[f]``."""
        ...

    def predict(self, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int[total]`` under ``bool[f]``."""
        ...


def rivals(subject: Subject, jax_images: int) -> list[Loop]:
    """All that can run here; what cannot is named."""
    found: list[Loop] = []
    if find_spec("torch") is None:
        click.echo(
            "PyTorch is not installed, so there is no comparison with it; install the 'bench' extra.", err=True
        )
    else:
        from experiments.benchmarks.rivals.torch_vgg import TorchVGG, variants

        found.extend(TorchVGG(subject, variant) for variant in variants())
    return [*found, JaxVGG(subject, jax_images)]


def seconds_per_mask(loop: Loop, masks: np.ndarray, images: int) -> float:
    """Mean over ``bool[n, f]``, scaled from the loop's own images to ``images``.

    A loop computes the whole network for every mask and every image, so both scale.
    """
    started = perf_counter()
    for mask in masks:
        loop.count(mask)
    return (perf_counter() - started) / len(masks) * images / loop.total


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def evenly(total: int, count: int) -> np.ndarray:
    """``count`` indices from first to last, or all if there are fewer."""
    return np.unique(np.linspace(0, total - 1, count).round().astype(int))
