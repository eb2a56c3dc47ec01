"""Labelled images: picks the source, the split and the subset. ``sources`` reads the storage."""

import difflib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments.data.matching import Matching
from experiments.data.options import SQUASH, check_resize, check_subset
from experiments.data.sources import arrays, folders, parquet, vehiclex
from experiments.data.sources.image_arrays import grey
from experiments.data.sources.parquet import HUB
from experiments.data.sources.pictures import Form
from experiments.data.sources.raw_split import RawSplit, Read, Splits, UnlabelledError

NAMES: tuple[str, ...] = ("digits", *HUB)
"""The named data sets, for help texts."""

# The prefixes of ``data`` for the user's own files.
_KINDS: dict[str, Callable[..., Splits]] = {
    "parquet": parquet.parquet,
    "imagefolder": folders.image_folder,
    "npz": arrays.npz,
    "vehiclex": vehiclex.vehiclex,
}
# The networks halve the width up to five times, so the small data sets are brought to 32 pixels.
_DEFAULT_SIZES = dict.fromkeys(("digits", "fashion_mnist", "imagefolder", "vehiclex"), (32, 32))
# Keep the choice of images and their order apart from every other use of the same seed.
_SUBSET_STREAM = 0x1AA6E5
_ORDER_STREAM = 0x0DE4
# Images that are read at a time where nothing else decides.
_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Images that are decoded when they are read.

    Attributes:
        read: decodes rows.
        rows: ``int64[n]``, ascending.
        form: what the images are brought to.
    """

    read: Read
    rows: np.ndarray
    form: Form

    def parts(self, at_once: int) -> Iterator[np.ndarray]:
        """``uint8[at_once, height, width, channels]``, one after the other; the last may be shorter."""
        return self.read(self.rows, self.form, at_once)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one split of a data set.

    Attributes:
        pixels: ``uint8[n, height, width, channels]``, with 1 channel (grey) or 3 (red, green, blue); or where
            such images are read from.
        labels: ``int32[n]``, each in ``0 .. len(classes) - 1``.
        classes: the name of each class; :class:`models.classes.Unnamed` where labels are only numbers.
        source: the value of ``data`` that the images came from.
        split: the name of the split.
        remarks: sentences for the user, in order, on what was left out or assumed; reading images may add some.
        present: ``int[k]``, the labels that the whole split has, of which these images may be a part; None: those
            of these images.
        matching: how the labels became places in the classes of a model; None as long as they are not.
    """

    pixels: np.ndarray | StoredImages
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str
    split: str
    remarks: dict[str, None] = field(default_factory=dict)
    present: np.ndarray | None = None
    matching: Matching | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def used(self) -> np.ndarray:
        """``int[k]``: the labels that the split has."""
        return np.unique(self.labels) if self.present is None else self.present

    @cached_property
    def images(self) -> np.ndarray:
        """All images, ``uint8[n, height, width, channels]``; kept once they are decoded."""
        if isinstance(self.pixels, np.ndarray):
            return self.pixels
        [images] = self.pixels.parts(len(self))
        return images

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image; decodes one if none is decoded."""
        if self._in_memory:
            return self.images.shape[1:]
        first = self.at(np.arange(1)).images
        return first.shape[1:]

    def parts(self, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images and labels, ``at_once`` at a time; the last part may be shorter.

        Images that are not in memory are decoded anew in each call, and not kept.
        """
        starts = range(0, len(self), at_once)
        if isinstance(self.pixels, np.ndarray) or self._in_memory:
            parts: Iterator[np.ndarray] = (self.images[start : start + at_once] for start in starts)
        else:
            parts = self.pixels.parts(at_once)
        for start, part in zip(starts, parts, strict=True):
            yield part, self.labels[start : start + at_once]

    def decoded(self) -> "ImageSet":
        """The same images, in memory."""
        return replace(self, pixels=self.images)

    def check(self) -> None:
        """Decode all images once, and keep none.

        Raises:
            DataError: an image cannot be read.
        """
        for _ in self.parts(_AT_ONCE):
            pass

    def digest(self) -> str:
        """SHA-256 in hex over shape, dtype and bytes of images and labels: the identity of the data."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256(f"|u1{(len(self), *self.shape)}".encode())
        for images, _ in self.parts(_AT_ONCE):
            total.update(np.ascontiguousarray(images).data)
        total.update(f"{self.labels.dtype.str}{self.labels.shape}".encode())
        total.update(np.ascontiguousarray(self.labels).data)
        return total.hexdigest()

    @property
    def _in_memory(self) -> bool:
        return isinstance(self.pixels, np.ndarray) or "images" in vars(self)

    def in_grey(self) -> "ImageSet":
        """The same images with one channel: colour as its luma."""
        return replace(self, pixels=grey(self.images)) if self.images.shape[3] == 3 else self

    def at(self, places: np.ndarray) -> "ImageSet":
        """The images at ``int64[n]`` places, in that order; places of images that are not in memory ascend."""
        if isinstance(self.pixels, np.ndarray) or self._in_memory:
            chosen: np.ndarray | StoredImages = self.images[places]
        else:
            chosen = replace(self.pixels, rows=self.pixels.rows[places])
        return replace(self, pixels=chosen, labels=self.labels[places])

    def shuffled(self, seed: int) -> "ImageSet":
        """The same images in a random order that ``seed`` decides, in memory."""
        order = np.random.default_rng([seed, _ORDER_STREAM]).permutation(len(self))
        return self.decoded().at(order)


def load(
    data: str,
    split: str,
    *,
    data_dir: str | Path | None = None,
    images: int | None = None,
    seed: int = 0,
    image_size: int | tuple[int, int] | None = None,
    resize: str | None = None,
    channels: int | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> ImageSet:
    """Read one split of a data set into memory.

    Args:
        data: one of ``NAMES``, or ``parquet:PATH``, ``imagefolder:PATH``, ``npz:PATH`` or ``vehiclex:PATH``.
        split: which split to read; ``available_splits`` lists them.
        data_dir: where the parquet files of a named data set are: a file, a folder, or the parent of a folder
            called like the data set.  Without it they come from the hub.  ``digits`` and data given
            with a path ignore it.
        images: how many images to pick at random without replacement; all of them when ``None``.
        seed: decides which images are picked; the order stays that of the data.
        image_size: height and width to resize to, bilinearly; one number for both.  When ``None``: 32 for
            ``digits``, ``fashion_mnist``, ``imagefolder`` and ``vehiclex``, else the size found.
        resize: one of :data:`experiments.data.options.RESIZES`; ``squash`` when ``None``.
        channels: 1 for grey, 3 for red, green and blue. When ``None``: 1 if all images are grey, else 3.
        tell: receives a sentence before each long step.

    Returns:
        The images as ``uint8[n, height, width, channels]`` and their labels as ``int32[n]``.

    Raises:
        DataError: an option names something that does not exist or does not fit the data, or the files are
            missing, unreadable or inconsistent.
    """
    found = open_split(
        data,
        split,
        data_dir=data_dir,
        images=images,
        seed=seed,
        image_size=image_size,
        resize=resize,
        channels=channels,
        tell=tell,
    )
    tell(f"decoding {len(found):,} images of {data}, split {split}")
    return found.decoded()


def open_split(
    data: str,
    split: str,
    *,
    data_dir: str | Path | None = None,
    images: int | None = None,
    seed: int = 0,
    image_size: int | tuple[int, int] | None = None,
    resize: str | None = None,
    channels: int | None = None,
    labelled: bool = True,
    tell: Callable[[str], None] = lambda text: None,
) -> ImageSet:
    """Read the labels of one split, and decode no image yet. Arguments and errors as for :func:`load`.

    Without ``labelled``, images need no labels, labels that are there are ignored, and all images get label 0.
    """
    check_subset(images, seed)
    check_resize(resize)
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if size is not None and min(size) < 1:
        raise DataError(f"`image_size` is {min(size)}; give a number of pixels of at least 1.")
    tell(f"opening {data}")
    kind, part = _split(data, split, data_dir, labelled)
    found = len(part.labels)
    if not found:
        raise DataError(f"`split` {split} of `data` {data} holds no images; choose another split.")
    if images is not None and images > found:
        raise DataError(
            f"`images` {images} is more than the {found} in split {split} of `data` {data}; ask for fewer."
        )
    chosen = subset(found, images, seed)
    form = Form(size or _DEFAULT_SIZES.get(kind), resize or SQUASH, channels)
    stored, present = StoredImages(part.read, chosen, form), np.unique(part.labels)
    return ImageSet(stored, part.labels[chosen], part.classes, data, split, part.remarks, present)


def subset(found: int, images: int | None, seed: int) -> np.ndarray:
    """``int64[n]``, ascending: the places of the images that :func:`load` picks among ``found``."""
    if images is None:
        return np.arange(found)
    generator = np.random.default_rng([seed, _SUBSET_STREAM])
    return np.sort(generator.choice(found, images, replace=False))


def size(data: str, split: str, *, data_dir: str | Path | None = None, labelled: bool = True) -> int:
    """How many images a split has; decodes none. ``labelled`` as for :func:`open_split`.

    Raises:
        DataError: as :func:`load`.
    """
    return len(_split(data, split, data_dir, labelled)[1].labels)


def available_splits(data: str, *, data_dir: str | Path | None = None) -> tuple[str, ...]:
    """Names of the splits of a data set, ``train`` and ``test`` first; reads no image and no network.

    Raises:
        DataError: the data set is unknown or its files are missing or unreadable.
    """
    return tuple(_open(data, data_dir, labelled=True)[1])


def _split(data: str, split: str, data_dir: str | Path | None, labelled: bool) -> tuple[str, RawSplit]:
    """The kind of source that ``data`` names, and one split of it, not decoded."""
    kind, splits = _open(data, data_dir, labelled)
    if split not in splits:
        raise DataError(f"`split` {split} is not in `data` {data}; choose from: {', '.join(splits)}.")
    try:
        found = splits[split]()
        return kind, found if labelled else replace(found, labels=np.zeros_like(found.labels))
    except UnlabelledError as error:
        raise UnlabelledError(
            f"`split` {split} of `data` {data} has no labels ({error}); choose a split with labels."
        ) from error


def _open(data: str, data_dir: str | Path | None, labelled: bool) -> tuple[str, Splits]:
    """The kind of source that ``data`` names, and a way to read each of its splits."""
    kind, colon, path = data.partition(":")
    if data == "digits":
        return data, arrays.digits()
    if data in HUB:
        if data_dir is None:
            return data, parquet.hub(data)
        return data, parquet.parquet(Path(data_dir), f"`data_dir` {data_dir}", name=data, labelled=labelled)
    if colon and kind in _KINDS:
        if not path:
            raise DataError(f"`data` {data} has no path; write `data` {kind}:PATH.")
        where = f"`data` {data}"
        if kind == "vehiclex":
            # The labels are the names of the files.
            return kind, vehiclex.vehiclex(Path(path), where)
        return kind, _KINDS[kind](Path(path), where, labelled=labelled)
    close = difflib.get_close_matches(kind, [*NAMES, *_KINDS], n=1)
    guess = f" (did you mean {close[0]}?)" if close else ""
    known = ", ".join([*NAMES, *(f"{form}:PATH" for form in _KINDS)])
    raise DataError(f"`data` {data} is not known{guess}; choose from: {known}.")
