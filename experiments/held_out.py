"""Accuracy of BEST on images that the search never saw; reported, never used to choose."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.layout import mask_sha256
from engine.run_directory import RunDirectory
from engine.store import RunStore
from experiments import datasets
from experiments.datasets import ImageSet
from experiments.measuring import load_images
from experiments.progress import Reporter
from experiments.search_options import SearchOptions
from fitness.evaluator import LocalEvaluator
from fitness.genome import Genome
from models.store import Model

NAME = "held_out.json"
SPLIT = "test"
_NUMBERS = ("total", "original_correct", "correct", "original_accuracy", "accuracy")


def measure_held_out(
    run: RunDirectory, model: Model, options: SearchOptions, mask: np.ndarray, reporter: Reporter
) -> dict[str, Any] | None:
    """Counts of the original and of BEST on the test split, kept in ``held_out.json`` of the run.

    None where the data has no test split, or the search itself used it.
    """
    known = known_held_out(run.store, mask)
    if known is not None:
        return known
    try:
        images = held_out_images(options, model)
    except DataError as error:
        # The search itself is done and sound; what it found must not hang on this.
        reporter.message(f"no held-out accuracy: {error}")
        return None
    genome = Genome.of(model.network, options.prune)
    with LocalEvaluator(model, genome.layout, images.images, images.labels) as evaluator:
        base, best = evaluator.evaluate(np.stack([genome.layout.full(), mask])).tolist()
    if min(base, best) < 0:
        reporter.message(f"no held-out accuracy: the network answers NaN or infinity on the {SPLIT} split.")
        return None
    result = {
        "split": SPLIT,
        "total": len(images),
        "original_correct": base,
        "correct": best,
        "original_accuracy": base / len(images),
        "accuracy": best / len(images),
        "sha256": mask_sha256(mask),
    }
    run.store.write(NAME, (json.dumps(result, indent=2) + "\n").encode())
    return result


def held_out_images(options: SearchOptions, model: Model) -> ImageSet:
    """All images of the test split.

    Raises:
        DataError: there is none, it cannot be read, or the search itself used it.
    """
    data = options.data
    if data.split == SPLIT or SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        raise DataError(f"--data {data.data} has no {SPLIT} split apart from the search's.")
    return load_images(replace(data, split=SPLIT, images=None), model)


def known_held_out(store: RunStore, mask: np.ndarray) -> dict[str, Any] | None:
    """The kept result, if it is of this mask; None where it is not there or damaged."""
    try:
        known = json.loads(store.read(NAME))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or known.get("sha256") != mask_sha256(mask):
        return None
    if known.get("split") != SPLIT or not all(isinstance(known.get(key), int | float) for key in _NUMBERS):
        return None
    counts = [known[key] for key in ("original_correct", "correct")]
    return known if all(isinstance(count, int) and 0 <= count <= known["total"] for count in counts) else None
