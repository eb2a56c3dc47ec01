"""Labelled images in arrays: scikit-learn's digits, and npz files.

Every source is a mapping from the name of a split to a function that reads it.  Reading a split reads and
checks its labels; its images are read only by ``RawSplit.read``, and only those asked for.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np

from engine.errors import DataError
from experiments.data.sources.image_arrays import array_parts, rows_of
from experiments.data.sources.label_types import flat
from experiments.data.sources.pictures import Form, reason
from experiments.data.sources.raw_split import (
    RawSplit,
    Splits,
    UnlabelledError,
    checked_labels,
    existing,
    numbered,
)
from models.classes import Unnamed


def digits() -> Splits:
    """The 1,797 handwritten digits of scikit-learn: 8x8, grey, 80 % ``train`` and 20 % ``test``."""
    return {name: partial(_digits, name) for name in ("train", "test")}


def _digits(split: str) -> RawSplit:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    # The division belongs to the data set: it does not depend on the seed of a run.
    train, test = train_test_split(
        np.arange(len(found.target)), test_size=0.2, stratify=found.target, random_state=0
    )
    rows = np.sort(train if split == "train" else test)
    images = np.rint(found.images[rows] * (255 / 16)).astype(np.uint8)
    classes = tuple(str(name) for name in found.target_names)

    def parts(chosen: np.ndarray, form: Form, at_once: int) -> Iterator[np.ndarray]:
        return array_parts(rows_of(images, chosen, at_once), form, "`data` digits")

    return RawSplit(found.target[rows].astype(np.int32), classes, parts)


def npz(path: Path, where: str, *, labelled: bool = True) -> Splits:
    """Arrays in one ``.npz`` file: ``x_train, y_train, x_test, y_test``, or ``images, labels`` (``train``).

    Images are ``uint8[n, height, width]`` or ``uint8[n, height, width, channels]``, labels integers ``[n]``
    or ``[n, 1]``. Without ``labelled``, labels are not read, and need not be there.

    Raises:
        DataError: no such file, no such keys or a damaged file; on reading a split, arrays that do not fit.
    """
    path = existing(path, where)
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = set(archive.files)
    except Exception as error:
        raise DataError(f"{where} is not a readable npz file ({reason(error)}); write it again.") from error
    pairs = {split: (f"x_{split}", f"y_{split}") for split in ("train", "test")}
    splits = {split: pair for split, pair in pairs.items() if pair[0] in keys}
    if "images" in keys and not any(set(pair) <= keys for pair in splits.values()):
        splits = {"train": ("images", "labels")}
    if not splits:
        found = ", ".join(sorted(keys)) or "nothing"
        raise DataError(
            f"{where} holds {found}; store x_train, y_train, x_test and y_test, or images and labels."
        )

    def labels(split: str) -> np.ndarray:
        images, key = splits[split]
        if key not in keys:
            raise UnlabelledError(f"there is {images} and no {key}")
        with _reading(key, where), np.load(path, allow_pickle=False) as archive:
            found = archive[key]
        return _flat_labels(found, key, where)

    def classes() -> tuple[str, ...]:
        known = []
        for split in splits:
            with suppress(UnlabelledError):
                known.append(labels(split))
        return numbered(known)

    def read(split: str) -> RawSplit:
        key = splits[split][0]
        shape = _image_shape(path, key, where)
        own = labels(split) if labelled else np.zeros(shape[0], np.int32)
        if shape[0] != len(own):
            raise DataError(
                f"{where} has {shape[0]} images but {len(own)} labels for split {split}; "
                "store one label for each image."
            )

        def parts(chosen: np.ndarray, form: Form, at_once: int) -> Iterator[np.ndarray]:
            return array_parts(_stored_rows(path, key, chosen, at_once, where), form, where)

        return RawSplit(own, classes() if labelled else Unnamed.of(1), parts)

    return {split: partial(read, split) for split in splits}


@contextmanager
def _reading(key: str, where: str) -> Iterator[None]:
    """Turn every error of reading an array into one sentence."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where} has an unreadable array {key} ({reason(error)}); write it again.") from error


def _image_shape(path: Path, key: str, where: str) -> tuple[int, ...]:
    """The shape of an array of images: ``uint8`` with the channels last."""
    with _reading(key, where), ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
        shape, _, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError("it holds objects")
    channels_first = len(shape) == 4 and shape[1] in (1, 3) and shape[3] > 4
    fits = len(shape) in (3, 4) and not channels_first
    if dtype != np.uint8 or not fits or 0 in shape[1:]:
        raise DataError(
            f"{where} has {key} of shape {shape} and type {dtype}; "
            "store uint8 of shape (n, height, width) or (n, height, width, channels)."
        )
    return shape


def _stored_rows(path: Path, key: str, rows: np.ndarray, at_once: int, where: str) -> Iterator[np.ndarray]:
    """Rows (``int64[k]``, ascending) of an array of images, read from the file ``at_once`` at a time."""
    with _reading(key, where), ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
        shape, columns_first, _ = _header(file)
        if columns_first:
            with np.load(path, allow_pickle=False) as whole:
                yield from rows_of(whole[key], rows, at_once)
            return
        begin, size = file.tell(), math.prod(shape[1:])
        for start in range(0, len(rows), at_once):
            chosen = rows[start : start + at_once]
            block = np.empty((len(chosen), *shape[1:]), np.uint8)
            for place, row in enumerate(chosen.tolist()):
                file.seek(begin + row * size)
                block[place] = np.frombuffer(file.read(size), np.uint8).reshape(shape[1:])
            yield block


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first index varies fastest, and dtype of an array; leaves the file at its first byte."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(file)
    return tuple(shape), bool(columns_first) and len(shape) > 1, dtype


def _flat_labels(labels: np.ndarray, key: str, where: str) -> np.ndarray:
    """Labels as ``int32[n]`` from ``[n]``, or from ``[n, 1]`` as Keras gives them."""
    return checked_labels(flat(labels, key, where), None, where)
