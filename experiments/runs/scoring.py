"""Counts of masks on a split of real images: the ``score`` command."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from zipfile import BadZipFile

import numpy as np

from engine.errors import MaskError
from experiments.data.facts import DataFacts, result_json
from experiments.data.loading import open_images
from experiments.data.options import DataOptions
from experiments.measurement.standing import plain_doubts
from experiments.runs.knowledge.compensation import gather, not_compensated
from experiments.runs.options import CALIBRATION_IMAGES, check_compensation
from fitness.evaluation.evaluator import on_gpu, usual_batch
from fitness.evaluation.precision import resolved
from fitness.evaluation.streaming import StreamedEvaluator
from fitness.genome import Genome
from models import model_directory


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
    layout = genome.layout
    rows, layers = np.nonzero(layout.empties(layout.checked(masks)))
    if len(rows):
        layer = layout.names[layers[0]]
        raise MaskError(f"mask {rows[0]} of {path} removes every filter of layer {layer!r}; keep at least one.")
    return masks


@dataclass(frozen=True)
class ScoreResult:
    """Counts of masks.

    Attributes:
        correct: of each mask; None where its network answers NaN or infinity.
        total: number of images.
        failed: number of masks without a count.
        seconds: of the evaluation, without compilation.
        compile_seconds: of the compilation.
        precision: float32 or bfloat16.
        precision_difference: what a precision other than float32 changes for the unpruned network.
        facts: what was noticed about the images.
        not_compensated: what reads filters and makes up for none, if the masks were compensated.
    """

    correct: list[int | None]
    total: int
    failed: int
    seconds: float
    compile_seconds: float
    precision: str
    precision_difference: dict[str, int] | None
    facts: DataFacts
    not_compensated: list[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return result_json(self)


def score_masks(
    directory: Path,
    masks_path: Path,
    options: DataOptions,
    prune: str = "convolutions",
    precision: str = "float32",
    compensate: str = "none",
    compensation_images: int = 1500,
    calibration_images: int = CALIBRATION_IMAGES,
) -> ScoreResult:
    """Count the images that each mask of a file gets right: the ``score`` command.

    Raises:
        StoreError, DataError, MaskError: model, data or masks cannot be used.
        OptionError, CompensationError: an unknown precision or compensation.
    """
    resolved(precision, on_gpu())
    check_compensation(compensate, compensation_images, calibration_images)
    model = model_directory.load(directory)
    genome = Genome.of(model.network, prune)
    masks = read_masks(Path(masks_path), genome)
    images = open_images(options, model)
    compensation = gather(model, genome, compensate, compensation_images, options, calibration_images)
    evaluator = StreamedEvaluator(
        model, genome.layout, images, usual_batch(), precision=precision, compensation=compensation
    )
    compile_seconds = evaluator.compile()
    started = perf_counter()
    counts = evaluator.evaluate(masks)
    seconds = perf_counter() - started
    difference = None if evaluator.precision == "float32" else evaluator.compare_precision()
    return ScoreResult(
        correct=[int(count) if count >= 0 else None for count in counts],
        total=len(images),
        failed=int(np.count_nonzero(counts < 0)),
        seconds=seconds,
        compile_seconds=compile_seconds,
        precision=evaluator.precision,
        precision_difference=difference,
        facts=DataFacts.of(images, plain_doubts(model, images)),
        not_compensated=not_compensated(model.network, compensation),
    )
