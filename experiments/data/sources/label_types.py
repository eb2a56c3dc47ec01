"""Labels that are no whole numbers from 0 on: one sentence for each kind, with its remedy."""

from typing import NoReturn

import numpy as np

from engine.errors import DataError


def refuse_type(labels: np.ndarray, where: str) -> NoReturn:
    """Refuse labels ``[n]`` that are not of an integer type.

    Raises:
        DataError: always.
    """
    kind = labels.dtype.kind
    if kind == "b":
        why = "are true or false, not integers; store 0 and 1"
    elif kind in "US" or (kind == "O" and all(isinstance(value, str | bytes) for value in labels)):
        first = labels[0].decode(errors="replace") if isinstance(labels[0], bytes) else labels[0]
        why = f"are texts, as {str(first)!r}, not integers; store the number of each class, from 0 on"
    elif kind == "O":
        many = f"{_missing(labels):,} of {len(labels):,}"
        why = f"are missing or not integers ({many}); remove the images without one"
    elif kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        why = f"are stored as {labels.dtype}, not integers; store them as int64"
    elif kind == "f" and np.isnan(labels).any():
        count = int(np.isnan(labels).sum())
        why = f"are missing or not integers ({count:,} of {len(labels):,} are NaN); remove the images without one"
    else:
        why = f"are not integers (type {labels.dtype}); store the number of each class, from 0 on"
    raise DataError(f"{where} has labels that {why}.")


def _missing(labels: np.ndarray) -> int:
    return sum(not isinstance(value, int) or isinstance(value, bool) for value in labels)


def refuse_range(labels: np.ndarray, most: int, where: str) -> None:
    """Refuse labels ``int[n]`` below 0 or above ``most``; n is 1 or more.

    Raises:
        DataError: there is such a label.
    """
    low, high = int(labels.min()), int(labels.max())
    if low == -1:
        count = int((labels == -1).sum())
        raise DataError(
            f"{where} has label -1 for {count:,} images, which usually means no label; remove these images, as "
            f"labels are from 0 to {most}."
        )
    if low < 0 or high > most:
        raise DataError(
            f"{where} has a label {low if low < 0 else high} outside 0 to {most}; correct or remove it."
        )


def flat(labels: np.ndarray, name: str, where: str) -> np.ndarray:
    """``[n]`` from ``[n]``, or from ``[n, 1]`` as Keras gives labels.

    Raises:
        DataError: labels of another shape, such as one-hot labels.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and _one_hot(labels):
        raise DataError(
            f"{where} has {name} of shape {labels.shape}, one-hot labels; store {name}.argmax(axis=1), one "
            "integer for each image."
        )
    if labels.ndim != 1:
        raise DataError(f"{where} has {name} of shape {labels.shape}; store one integer for each image.")
    return labels


def _one_hot(labels: np.ndarray) -> bool:
    ones = (labels == 1).sum(axis=1) == 1
    return bool(len(labels) and (ones & ((labels == 0).sum(axis=1) == labels.shape[1] - 1)).all())
