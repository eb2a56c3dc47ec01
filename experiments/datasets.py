"""Labelled images for training, evaluation and search: named data sets, or files of the user's own.

``load`` returns one split as a dense ``uint8`` array with ``int32`` labels.  This module
picks the source, the split and the subset; how each kind of storage is read is in
``experiments.parquet_sources`` and ``experiments.data_sources``.
"""

import difflib
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments import data_sources, parquet_sources, vehiclex_source
from experiments.image_arrays import grey
from experiments.parquet_sources import HUB
from experiments.raw_split import RawSplit, Splits

NAMES: tuple[str, ...] = ("digits", *HUB)
"""The named data sets, for help texts."""

# What `--data` may start with when it points at files of the user's own.
_KINDS = {
    "parquet": parquet_sources.parquet,
    "imagefolder": data_sources.image_folder,
    "npz": data_sources.npz,
    "vehiclex": vehiclex_source.vehiclex,
}
# The networks halve the width up to five times, so the small data sets are brought to 32 pixels.
_DEFAULT_SIZES = {"digits": 32, "fashion_mnist": 32, "imagefolder": 32, "vehiclex": 32}
# Keep the choice of images and their order apart from every other use of the same seed.
_SUBSET_STREAM = 0x1AA6E5
_ORDER_STREAM = 0x0DE4


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One split of a data set, decoded.

    Attributes:
        images: ``uint8[n, height, width, channels]``, with 1 channel (grey) or 3 (red, green, blue).
        labels: ``int32[n]``, each in ``0 .. len(classes) - 1``.
        classes: the name of each class.
        source: the value of ``--data`` that it came from.
        split: the name of the split.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str
    split: str

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """SHA-256 in hex over shape, dtype and bytes of images and labels: the identity of the data."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256()
        for array in (self.images, self.labels):
            total.update(f"{array.dtype.str}{array.shape}".encode())
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def in_grey(self) -> "ImageSet":
        """The same images with one channel: colour as its luma, see :func:`experiments.image_arrays.grey`."""
        return replace(self, images=grey(self.images)) if self.images.shape[3] == 3 else self

    def at(self, places: np.ndarray) -> "ImageSet":
        """Those at ``int64[n]`` places, in that order."""
        return replace(self, images=self.images[places], labels=self.labels[places])

    def shuffled(self, seed: int) -> "ImageSet":
        """The same images in a random order that ``seed`` decides."""
        order = np.random.default_rng([seed, _ORDER_STREAM]).permutation(len(self))
        return self.at(order)


def load(
    data: str,
    split: str,
    *,
    data_dir: str | Path | None = None,
    images: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
) -> ImageSet:
    """Read one split of a data set.

    Args:
        data: one of ``NAMES``, or ``parquet:PATH``, ``imagefolder:PATH``, ``npz:PATH`` or ``vehiclex:PATH``.
        split: which split to read; ``available_splits`` lists them.
        data_dir: where the parquet files of a named data set are: a file, a folder, or the parent of a folder
            called like the data set.  Without it they come from the hub.  It has no bearing on ``digits``
            and on data given with a path.
        images: how many images to pick at random without replacement; all of them when ``None``.
        seed: decides which images are picked; the order stays that of the data.
        image_size: height and width to resize to, bilinearly and without regard to the aspect ratio.  When
            ``None``: 32 for ``digits``, ``fashion_mnist``, ``imagefolder`` and ``vehiclex``, else the size found.

    Returns:
        The images as ``uint8[n, height, width, channels]`` and their labels as ``int32[n]``.

    Raises:
        DataError: an option names something that does not exist or does not fit the data, or the files are
            missing, unreadable or inconsistent.
    """
    if images is not None and images < 1:
        raise DataError(f"--images is {images}; give a number of at least 1, or leave it out for all images.")
    if image_size is not None and image_size < 1:
        raise DataError(f"--image-size is {image_size}; give a number of pixels of at least 1.")
    if seed < 0:
        raise DataError(f"--seed is {seed}; give a number of at least 0.")
    kind, part = _split(data, split, data_dir)
    found = len(part.labels)
    if not found:
        raise DataError(f"--split {split} of --data {data} holds no images; choose another split.")
    if images is not None and images > found:
        raise DataError(
            f"--images {images} is more than the {found} in split {split} of --data {data}; ask for fewer."
        )
    chosen = subset(found, images, seed)
    size = _DEFAULT_SIZES.get(kind) if image_size is None else image_size
    return ImageSet(part.read(chosen, size), part.labels[chosen], part.classes, data, split)


def subset(found: int, images: int | None, seed: int) -> np.ndarray:
    """``int64[n]``, ascending: the places, in a split of ``found`` images, of those that :func:`load` picks."""
    if images is None:
        return np.arange(found)
    generator = np.random.default_rng([seed, _SUBSET_STREAM])
    return np.sort(generator.choice(found, images, replace=False))


def size(data: str, split: str, *, data_dir: str | Path | None = None) -> int:
    """How many images a split has; decodes none.

    Raises:
        DataError: as :func:`load`.
    """
    return len(_split(data, split, data_dir)[1].labels)


def available_splits(data: str, *, data_dir: str | Path | None = None) -> tuple[str, ...]:
    """Names of the splits of a data set, ``train`` and ``test`` first; reads no image and no network.

    Raises:
        DataError: the data set is unknown or its files are missing or unreadable.
    """
    return tuple(_open(data, data_dir)[1])


def _split(data: str, split: str, data_dir: str | Path | None) -> tuple[str, RawSplit]:
    """The kind of source that ``data`` names, and one split of it, not decoded."""
    kind, splits = _open(data, data_dir)
    if split not in splits:
        raise DataError(f"--split {split} is not in --data {data}; choose from: {', '.join(splits)}.")
    return kind, splits[split]()


def _open(data: str, data_dir: str | Path | None) -> tuple[str, Splits]:
    """The kind of source that ``data`` names, and a way to read each of its splits."""
    kind, colon, path = data.partition(":")
    if data == "digits":
        return data, data_sources.digits()
    if data in HUB:
        if data_dir is None:
            return data, parquet_sources.hub(data)
        return data, parquet_sources.parquet(Path(data_dir), f"--data-dir {data_dir}", name=data)
    if colon and kind in _KINDS:
        if not path:
            raise DataError(f"--data {data} has no path; write --data {kind}:PATH.")
        return kind, _KINDS[kind](Path(path), f"--data {data}")
    close = difflib.get_close_matches(kind, [*NAMES, *_KINDS], n=1)
    guess = f" (did you mean {close[0]}?)" if close else ""
    known = ", ".join([*NAMES, *(f"{form}:PATH" for form in _KINDS)])
    raise DataError(f"--data {data} is not known{guess}; choose from: {known}.")
