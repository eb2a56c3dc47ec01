"""A whole search as a careful user would script it: Algorithm 2 of the thesis with DEAP and PyTorch.

Command: ``python -m experiments.benchmarks.rivals.thesis_script MODEL_DIR IMAGES.npz --generations 8``. The file
has ``images`` ``uint8[n, height, width, 3]``, ``labels`` ``int[n]``, and ``test_images`` and ``test_labels``.

The script knows VGGs without batch norm and nothing of evoprune, so that it starts as fast as such a script does.
It does what costs few lines and saves much: kernels are masked once for a mask, arrays are channels-last, no
gradient is kept, and no mask is evaluated twice.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deap import base, creator, tools
from safetensors.numpy import load_file
from torch.nn import functional

BATCH = 64
POPULATION, PARENTS, CAP, MUTATION, REMOVAL = 50, 10, 300, 0.0002, 0.02
THRESHOLD, LAMBDA, EPSILON = 2.0, 0.5, 10.0


class VGG:
    """The network of a model directory, and what a mask of its convolutions costs."""

    def __init__(self, folder: Path):
        described = json.loads((folder / "model.json").read_text())
        self.blocks = described["architecture"]["blocks"]
        self.hidden = described["architecture"]["hidden"]
        loaded = load_file(folder / "weights.safetensors")
        self.arrays = {name: torch.from_numpy(array) for name, array in loaded.items()}
        self.mean, self.std = (
            torch.tensor(described["normalisation"][name]).view(1, -1, 1, 1) for name in ("mean", "std")
        )
        self.names = [f"conv{b}_{c}" for b, block in enumerate(self.blocks, 1) for c in range(1, len(block) + 1)]
        self.widths = [width for block in self.blocks for width in block]

    def split(self, mask: np.ndarray) -> list[np.ndarray]:
        """The slices of ``bool[f]``, one a convolution."""
        return np.split(mask, np.cumsum(self.widths)[:-1])

    def parameters(self, mask: np.ndarray) -> int:
        """Parameters of the network that ``bool[f]`` leaves."""
        kept = [int(part.sum()) for part in self.split(mask)]
        inputs = self.arrays[f"{self.names[0]}.convolution.kernel"].shape[2]
        total = sum(9 * before * after + after for before, after in pairwise([inputs, *kept]))
        flat = self.arrays["fc1.dense.kernel"].shape[0] // self.widths[-1] * kept[-1]
        sizes = [flat, *self.hidden, self.arrays["logits.dense.kernel"].shape[1]]
        return total + sum(before * after + after for before, after in pairwise(sizes))

    @torch.inference_mode()
    def correct(self, mask: np.ndarray, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> int:
        """Correct images under ``bool[f]``."""
        masked = []
        for name, keep in zip(self.names, self.split(mask), strict=True):
            kernel = self.arrays[f"{name}.convolution.kernel"].permute(3, 2, 0, 1)
            kept = torch.from_numpy(keep).float()
            weights = (kernel * kept.view(-1, 1, 1, 1)).contiguous(memory_format=torch.channels_last)
            masked.append((weights, self.arrays[f"{name}.convolution.bias"] * kept))
        return sum(int((self.logits(images, masked).argmax(1) == labels).sum()) for images, labels in batches)

    def logits(self, images: torch.Tensor, masked: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """``uint8[b, 3, height, width]`` -> ``float32[b, classes]``, with masked kernels and biases."""
        x = ((images.float() / 255 - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        layers = iter(masked)
        for block in self.blocks:
            for _ in block:
                weights, bias = next(layers)
                x = functional.relu(functional.conv2d(x, weights, bias, padding=1), inplace=True)
            x = functional.max_pool2d(x, 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        for i in range(1, len(self.hidden) + 1):
            x = functional.relu(x @ self.arrays[f"fc{i}.dense.kernel"] + self.arrays[f"fc{i}.dense.bias"])
        return x @ self.arrays["logits.dense.kernel"] + self.arrays["logits.dense.bias"]


def score(accuracy_drop: float, parameter_drop: float) -> float:
    """Algorithm 1."""
    if accuracy_drop < THRESHOLD:
        return parameter_drop
    return parameter_drop / (accuracy_drop + EPSILON) - LAMBDA * accuracy_drop


def search(network: VGG, batches: Any, generations: int, seed: int) -> dict[str, Any]:
    """Algorithm 2; BEST, its score, its correct images and the number of evaluated masks."""
    rng = np.random.default_rng(seed)
    filters = sum(network.widths)
    whole = np.ones(filters, bool)
    original, most = network.correct(whole, batches), network.parameters(whole)
    seen: dict[bytes, tuple[float, int]] = {}
    best: tuple[float, int, np.ndarray] = (0.0, original, whole)

    def evaluate(mask: np.ndarray) -> tuple[float]:
        nonlocal best
        key = np.packbits(mask).tobytes()
        if key not in seen:
            right = network.correct(mask, batches)
            drop = 100 * (original - right) / original
            value = score(drop, 100 * (most - network.parameters(mask)) / most)
            seen[key] = (value, right)
            if drop < THRESHOLD and value > best[0]:
                best = (value, right, mask)
        return (seen[key][0],)

    def repaired(mask: np.ndarray) -> np.ndarray:
        for part in network.split(mask):
            if not part.any():
                part[rng.integers(len(part))] = True
        return mask

    creator.create("Fitness", base.Fitness, weights=(1.0,))
    creator.create("Individual", np.ndarray, fitness=creator.Fitness)

    def individual(mask: np.ndarray) -> Any:
        born = creator.Individual(repaired(mask))
        born.fitness.values = evaluate(mask)
        return born

    population = [individual(rng.random(filters) >= REMOVAL * i / (POPULATION - 1)) for i in range(POPULATION)]
    for _ in range(generations):
        parents = tools.selBest(population, PARENTS)
        offspring = []
        for first, second in zip(parents[::2], parents[1::2], strict=True):
            cut = rng.integers(1, filters)
            one, two = np.array(first), np.array(second)
            crossed = [np.r_[one[:cut], two[cut:]], np.r_[two[:cut], one[cut:]], one, two]
            offspring += [individual(child ^ (rng.random(filters) < MUTATION)) for child in crossed]
        population = tools.selBest(population + offspring, CAP)
    value, right, mask = best
    return {"score": value, "correct": right, "original": original, "evaluations": len(seen), "mask": mask}


def batches_of(images: np.ndarray, labels: np.ndarray) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of images ``uint8[b, 3, height, width]`` and labels."""
    placed = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels.astype(np.int64))
    return list(zip(*(array.split(BATCH) for array in placed), strict=True))


def main() -> None:
    """Search, then count test images for BEST and the original network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    network, data = VGG(given.model), np.load(given.data)
    found = search(network, batches_of(data["images"], data["labels"]), given.generations, given.seed)
    mask = found.pop("mask")
    test = batches_of(data["test_images"], data["test_labels"])
    found["test"] = [network.correct(each, test) for each in (np.ones_like(mask), mask)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
