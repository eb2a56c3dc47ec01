"""What every source of images gives, and the checks and helpers that the sources share."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from experiments.image_arrays import reason

SPLIT_NAMES = ("train", "test", "validation", "valid", "val", "dev", "eval", "extra")
# Names of classes are made up to the highest label where the files have none, so a stray huge label must
# not fill the memory.
_MOST_CLASSES = 65_536


@dataclass(frozen=True, eq=False)
class RawSplit:
    """One split with its labels read and its images not yet decoded.

    Attributes:
        labels: ``int32[n]``, each in ``0 .. len(classes) - 1``.
        classes: the name of each class.
        read: from rows (``int64[k]``) and a size or ``None`` to ``uint8[k, height, width, channels]``.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    read: Callable[[np.ndarray, int | None], np.ndarray]


Splits = Mapping[str, Callable[[], RawSplit]]
"""What a source is: from the name of each split, in order, to a function that reads it."""


def column_values(table: Any, name: str) -> list[Any]:
    """One column of a table as it is stored: encoded images stay encoded, missing values are ``None``."""
    return table.select_columns([name]).with_format("arrow")[:].column(name).to_pylist()


def label_values(table: Any, name: str) -> np.ndarray:
    """A column of labels as an array ``[n]``; missing ones make it an array of objects."""
    values = column_values(table, name)
    return np.asarray(values) if values else np.zeros(0, np.int64)


def checked_labels(labels: np.ndarray, classes: int | None, where: str) -> np.ndarray:
    """Labels as ``int32[n]``, refusing what is not an integer or out of range."""
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{where} has labels that are missing or not integers (type {labels.dtype}); store integers."
        )
    if not len(labels):
        return labels.astype(np.int32)
    low, high = int(labels.min()), int(labels.max())
    most = classes if classes is not None else _MOST_CLASSES
    if low < 0 or high >= most:
        raise DataError(
            f"{where} has a label {low if low < 0 else high} outside 0 to {most - 1}; correct or remove it."
        )
    return labels.astype(np.int32)


def numbered(labels: Iterable[np.ndarray]) -> tuple[str, ...]:
    """Names for classes that have none: their numbers, up to the highest label of all the splits given."""
    highest = max((int(some.max()) for some in labels if len(some)), default=-1)
    return tuple(str(number) for number in range(highest + 1))


def ordered(splits: Iterable[str]) -> list[str]:
    """Split names with the usual ones first."""
    return sorted(splits, key=lambda name: ({"train": 0, "test": 1}.get(name, 2), name))


def existing(path: Path, where: str) -> Path:
    """The path with ``~`` filled in, if it is there."""
    try:
        path = path.expanduser().absolute()
        path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} cannot be opened ({reason(error)}); give a path that exists.") from error
    return path


@contextmanager
def quiet() -> Iterator[Any]:
    """The ``datasets`` library, imported only here for its import takes a second, without its chatter."""
    import datasets
    import datasets.utils

    bars_shown = not datasets.utils.are_progress_bars_disabled()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    datasets.utils.disable_progress_bars()
    for logger in loggers:
        # What goes wrong is raised; the retries and causes logged beside it would only blur the sentence.
        logger.setLevel(logging.CRITICAL)
    try:
        yield datasets
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars_shown:
            datasets.utils.enable_progress_bars()
