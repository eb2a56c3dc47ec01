"""Accuracy of BEST on images that the search never saw; reported, never used to choose."""

import json
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.layout import mask_sha256
from engine.run_directory import RunDirectory
from engine.store import RunStore
from experiments.held_out_images import SPLIT, held_out_images, none_apart
from experiments.progress import Reporter
from experiments.search_options import SearchOptions
from fitness.evaluator import LocalEvaluator
from fitness.genome import Genome
from models.compensation.compensation import Compensation
from models.store import Model

NAME = "held_out.json"
_NUMBERS = ("total", "original_correct", "correct", "original_accuracy", "accuracy")


def measure_held_out(
    run: RunDirectory,
    model: Model,
    options: SearchOptions,
    mask: np.ndarray,
    reporter: Reporter,
    compensation: Compensation | None,
) -> dict[str, Any] | None:
    """Counts of the original and of BEST on the test split, kept in ``held_out.json`` of the run.

    None where the data has no test split, or the search itself used it.
    """
    known = known_held_out(run.store, mask)
    if known is not None:
        return known
    try:
        images = held_out_images(options.data, model)
    except DataError as error:
        # The search itself is done and sound; what it found must not hang on this.
        reporter.message(f"no held-out accuracy: {error}")
        return None
    if images is None:
        reporter.message(f"no held-out accuracy: {none_apart(options.data)}")
        return None
    genome = Genome.of(model.network, options.prune)
    data = (model, genome.layout, images.images, images.labels)
    with LocalEvaluator(*data, compensation=compensation) as evaluator:
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
