"""Counts of masks on a split of real images: the ``score`` command."""

from pathlib import Path
from time import perf_counter
from typing import Any
from zipfile import BadZipFile

import numpy as np

from engine.errors import MaskError
from experiments import compensating
from experiments.measuring import DataOptions, load_images
from fitness.evaluator import CPU_BATCH, GPU_BATCH, LocalEvaluator, on_gpu
from fitness.genome import Genome
from fitness.precision import resolved
from models import store


def read_masks(path: Path, genome: Genome) -> np.ndarray:
    """``bool[n, f]`` from a ``.npy`` file of booleans, or of zeros and ones; one mask may be ``[f]``.

    Raises:
        MaskError: the file is no such array.
    """
    try:
        masks = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise MaskError(f"the masks file {path} does not exist; give a .npy file of bool[n, f].") from None
    except (OSError, ValueError, EOFError, MemoryError, BadZipFile) as error:
        raise MaskError(f"the masks file {path} is not a readable .npy array ({error}).") from error
    if not isinstance(masks, np.ndarray):
        raise MaskError(f"the masks file {path} is an archive; give a .npy file of bool[n, f].")
    if np.issubdtype(masks.dtype, np.integer) and np.isin(masks, (0, 1)).all():
        masks = masks.astype(bool)
    if masks.ndim == 1:
        masks = masks[None]
    if masks.ndim == 2 and len(masks) == 0:
        raise MaskError(f"the masks file {path} holds no mask; give bool[n, {genome.layout.n_filters}].")
    return genome.layout.checked(masks)


def score_masks(
    directory: Path,
    masks_path: Path,
    options: DataOptions,
    prune: str = "convolutions",
    precision: str = "float32",
    compensate: str = "none",
    compensation_images: int = 1500,
) -> dict[str, Any]:
    """Correct counts of masks: the ``score`` command. A failed mask (NaN, infinity) counts as None.

    Raises:
        StoreError, DataError, MaskError: model, data or masks cannot be used.
        OptionError, CompensationError: an unknown precision or compensation.
    """
    resolved(precision, on_gpu())
    compensating.check_compensation(compensate, compensation_images)
    model = store.load(directory)
    genome = Genome.of(model.network, prune)
    masks = read_masks(Path(masks_path), genome)
    images = load_images(options, model)
    compensation = compensating.gather(model, genome, compensate, compensation_images, options)
    data = (model, genome.layout, images.images, images.labels, GPU_BATCH if on_gpu() else CPU_BATCH)
    with LocalEvaluator(*data, precision=precision, compensation=compensation) as evaluator:
        compile_seconds = evaluator.compile()
        started = perf_counter()
        counts = evaluator.evaluate(masks)
        seconds = perf_counter() - started
        difference = None if evaluator.precision == "float32" else evaluator.compare_precision()
    return {
        "correct": [int(count) if count >= 0 else None for count in counts],
        "total": len(images),
        "failed": int(np.count_nonzero(counts < 0)),
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "precision": evaluator.precision,
        "precision_difference": difference,
    }
