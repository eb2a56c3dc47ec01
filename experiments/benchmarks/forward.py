"""One mask over 2,000 images: the local backend against a plain PyTorch float32 channels-last loop.

Command: ``make bench``, or ``python -m experiments.benchmarks.forward --help``. About two minutes on 2 cores
for the full-size VGG-16. Needs PyTorch (the ``bench`` extra). A and B run in turn; the ratio of medians and
the range of the pairwise ratios are printed, and whether the counts agree.
"""

import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import jax
import numpy as np
import torch

from experiments.environment import versions
from experiments.measuring import DataOptions, load_images
from fitness.evaluator import LocalEvaluator
from fitness.genome import Genome
from models import store
from models.normalisation import Normalisation
from models.registry import NETWORKS
from models.state import arrays_of
from models.store import Model

TORCH_BATCH = 64
"""The fastest of 64, 128 and 256 for PyTorch on 2 cores (368, 347 and 301 images/s)."""


class TorchVGG:
    """The same network as a person would write it in PyTorch: channels-last, masks multiplied in."""

    def __init__(self, model: Model, genome: Genome):
        arrays = {name: torch.from_numpy(array.copy()) for name, array in arrays_of(model.network).items()}
        self._arrays = {
            name: array.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            if array.ndim == 4
            else array
            for name, array in arrays.items()
        }
        self._architecture = model.network.architecture
        self._mean = torch.tensor(model.normalisation.mean).view(1, -1, 1, 1)
        self._std = torch.tensor(model.normalisation.std).view(1, -1, 1, 1)
        self._layout = genome.layout

    @torch.inference_mode()
    def count(self, images: torch.Tensor, labels: torch.Tensor, mask: np.ndarray) -> int:
        """Correct of ``uint8[n, channels, height, width]``."""
        keeps = {
            name: torch.from_numpy(part.astype(np.float32)) for name, part in self._layout.split(mask).items()
        }
        correct = 0
        for start in range(0, len(images), TORCH_BATCH):
            batch = images[start : start + TORCH_BATCH].float().div_(255).sub_(self._mean).div_(self._std)
            logits = self._logits(batch.contiguous(memory_format=torch.channels_last), keeps)
            correct += int((logits.argmax(1) == labels[start : start + TORCH_BATCH]).sum())
        return correct

    def _logits(self, carry: torch.Tensor, keeps: dict[str, torch.Tensor]) -> torch.Tensor:
        arrays, functional = self._arrays, torch.nn.functional
        for b, block in enumerate(self._architecture.blocks, 1):
            for c in range(1, len(block) + 1):
                name = f"conv{b}_{c}"
                kernel, bias = arrays[f"{name}.convolution.kernel"], arrays[f"{name}.convolution.bias"]
                carry = functional.relu(functional.conv2d(carry, kernel, bias, padding=1))
                carry = carry * keeps[name].view(1, -1, 1, 1)
            carry = functional.max_pool2d(carry, 2)
        carry = carry.permute(0, 2, 3, 1).flatten(1)
        for i in range(1, len(self._architecture.hidden) + 1):
            carry = functional.relu(carry @ arrays[f"fc{i}.dense.kernel"] + arrays[f"fc{i}.dense.bias"])
        return carry @ arrays["logits.dense.kernel"] + arrays["logits.dense.bias"]


def compare(model: Model, images: np.ndarray, labels: np.ndarray, rounds: int) -> dict[str, Any]:
    """Images/s of both, in turn."""
    genome = Genome.of(model.network)
    mask = np.random.default_rng(0).random(genome.layout.n_filters) < 0.99
    evaluator = LocalEvaluator(model, genome.layout, images, labels)
    compile_seconds = evaluator.compile()
    rival = TorchVGG(model, genome)
    torch_images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    torch_labels = torch.from_numpy(labels.astype(np.int64))

    def ours() -> int:
        return int(evaluator.evaluate(mask[None])[0])

    def theirs() -> int:
        return rival.count(torch_images, torch_labels, mask)

    counts = (ours(), theirs())
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, found in zip((ours, theirs), speeds, strict=True):
            started = perf_counter()
            function()
            found.append(len(images) / (perf_counter() - started))
    ratios = [a / b for a, b in zip(*speeds, strict=True)]
    return {
        "images": len(images),
        "ours_images_per_second": statistics.median(speeds[0]),
        "pytorch_images_per_second": statistics.median(speeds[1]),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "correct": {"ours": counts[0], "pytorch": counts[1]},
        "compile_seconds": compile_seconds,
        "torch_threads": torch.get_num_threads(),
        "jax_backend": jax.default_backend(),
        "versions": {**versions(), "torch": torch.__version__},
    }


@click.command()
@click.option(
    "--model", type=click.Path(path_type=Path), help="Model directory; an untrained VGG-16 if not given."
)
@click.option("--data", default=None, help="Data set; random pixels if not given.")
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR")
@click.option("--images", default=2000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(model: Path | None, data: str | None, data_dir: str | None, images: int, rounds: int) -> None:
    """Time one mask over many images against PyTorch."""
    if model is None:
        normalisation = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        loaded = Model(NETWORKS["vgg16"]().build(), normalisation, tuple("0123456789"))
    else:
        loaded = store.load(model)
    if data is None:
        rng = np.random.default_rng(0)
        shape = (images, *loaded.network.architecture.input_shape)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        labels = rng.integers(0, len(loaded.classes), images).astype(np.int32)
    else:
        found = load_images(DataOptions(data, data_dir, "test", images), loaded)
        pixels, labels = found.images, found.labels
    click.echo(json.dumps(compare(loaded, pixels, labels, rounds), indent=2))


if __name__ == "__main__":
    main()
