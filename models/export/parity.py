"""Writes a network in a format, on the condition that it reads back as the same network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import output_directory
from models.errors import ExportError
from models.export.contract import Format, Predict
from models.model_directory import Model

TOLERANCE = 1e-3
"""Largest difference of logits, relative to the largest logit. Removing zeros from sums of float32 and another
runtime only reorder them; a wrong channel shows as differences of order one."""
TIE = 1e-4
"""Relative distance of the two highest logits within which rounding may decide the class."""


@dataclass(frozen=True)
class Parity:
    """The comparison of an exported network: ``differing`` of ``images`` classes differ, all of them ties."""

    images: int
    differing: int
    largest_difference: float


def compared(expected: np.ndarray, found: np.ndarray) -> Parity:
    """Compare ``float32[b, classes]`` logits.

    Raises:
        ExportError: they differ by more than rounding explains.
    """
    scale = max(1.0, float(np.max(np.abs(expected))))
    difference = float(np.max(np.abs(expected - found))) if found.shape == expected.shape else np.inf
    if not difference <= TOLERANCE * scale:
        raise ExportError(
            f"the exported network's logits differ from the masked network's by {difference:.3g} (largest logit "
            f"{scale:.3g}); nothing was written; please report this as a defect."
        )
    differing = expected.argmax(axis=1) != found.argmax(axis=1)
    highest = np.sort(expected, axis=1)[:, -2:]
    decided = differing & (highest[:, -1] - highest[:, 0] > TIE * scale)
    if decided.any():
        raise ExportError(
            f"the exported network's predictions differ from the masked network's on {decided.sum()} of "
            f"{len(expected)} images; nothing was written; please report this as a defect."
        )
    return Parity(len(expected), int(differing.sum()), difference)


def write_checked(
    directory: Path, model: Model, chosen: Format, images: np.ndarray, reference: Predict
) -> tuple[Parity, dict[str, int]]:
    """Write ``model`` into ``directory`` if ``chosen`` reads back a network that answers like ``reference``.

    Args:
        directory: must not exist, or be empty.
        model: what is written.
        chosen: the format.
        images: ``uint8[b, height, width, channels]``, compared in one batch, and the first image also alone.
        reference: the masked network.

    Returns:
        the comparison, and the size of each file in bytes.

    Raises:
        StoreError: the directory is occupied.
        ExportError: the format cannot hold the network, or the networks differ; nothing is written.
    """
    files = chosen.files(model)
    found: list[Parity] = []

    def check(place: Path) -> None:
        predict = chosen.load(place)
        expected = reference(images)
        compared(expected[:1], predict(images[:1]))
        found.append(compared(expected, predict(images)))

    output_directory.write(directory, files, check)
    return found[0], {name: len(content) for name, content in files.items()}
