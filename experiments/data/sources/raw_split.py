"""The form that every source of images gives, and the checks and helpers that the sources share."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments.data.sources.label_types import refuse_range, refuse_type
from experiments.data.sources.pictures import Form, reason, shown
from models import git_lfs
from models.classes import Unnamed

SPLIT_NAMES = ("train", "test", "validation", "valid", "val", "dev", "eval", "extra")
# Classes without names are numbered up to the highest label, so a stray huge label must not fill the memory.
_MOST_CLASSES = 65_536


Read = Callable[[np.ndarray, Form, int], Iterator[np.ndarray]]
"""Decodes rows (``int64[k]``) in a form, some at a time: arrays ``uint8[at_once, height, width, channels]``."""


class UnlabelledError(DataError):
    """A split has images and no labels."""


@dataclass(frozen=True, eq=False)
class RawSplit:
    """One split with its labels read and its images not yet decoded.

    Attributes:
        labels: ``int32[n]``, each in ``0 .. len(classes) - 1``.
        classes: the name of each class; :class:`models.classes.Unnamed` where labels are only numbers.
        read: see :data:`Read`.
        remarks: sentences for the user, in order, on what was left out or assumed; ``read`` may add some.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    read: Read
    remarks: dict[str, None] = field(default_factory=dict)


Splits = Mapping[str, Callable[[], RawSplit]]
"""A source: the name of each split, in order, to a function that reads the split.

The function raises :class:`UnlabelledError` for a split without labels.
"""


def checked_labels(labels: np.ndarray, classes: int | None, where: str) -> np.ndarray:
    """Labels as ``int32[n]``, refusing labels that are not integers or out of range.

    Raises:
        UnlabelledError: all are missing, NaN or -1, which stands for no label in published test sets.
        DataError: they are no numbers of classes.
    """
    for mark in (None, -1) if labels.dtype.kind in "iO" and len(labels) else ():
        if all(label == mark for label in labels.tolist()):
            raise UnlabelledError("all are missing" if mark is None else "all are -1")
    if labels.dtype.kind == "f" and len(labels) and np.isnan(labels).all():
        raise UnlabelledError("all are NaN")
    if not len(labels):
        return labels.astype(np.int32)
    if labels.dtype.kind not in "iu":
        refuse_type(labels, where)
    refuse_range(labels, (_MOST_CLASSES if classes is None else classes) - 1, where)
    return labels.astype(np.int32)


def numbered(labels: Iterable[np.ndarray]) -> Unnamed:
    """Classes without names, up to the highest label of all the splits given."""
    highest = max((int(some.max()) for some in labels if len(some)), default=-1)
    return Unnamed.of(highest + 1)


def ordered(splits: Iterable[str]) -> list[str]:
    """Split names with the usual ones first."""
    return sorted(splits, key=lambda name: ({"train": 0, "test": 1}.get(name, 2), name))


def existing(path: Path, where: str) -> Path:
    """The path with ``~`` filled in, if it is there and no pointer of Git LFS."""
    try:
        path = path.expanduser().absolute()
        path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} cannot be opened ({shown(reason(error))}); give a path that exists.") from error
    if git_lfs.is_pointer_file(path):
        raise DataError(f"{where} cannot be read: {path} {git_lfs.REMEDY}")
    return path
