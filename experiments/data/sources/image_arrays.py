"""Brings images into dense arrays of one shape, some at a time."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import PIL.Image

from engine.errors import DataError
from experiments.data.sources.pictures import Form, fitted


def picture_parts(
    pictures: Iterable[PIL.Image.Image],
    count: int,
    form: Form,
    at_once: int,
    where: str,
    remarks: dict[str, None],
) -> Iterator[np.ndarray]:
    """Bring ``count`` pictures into arrays ``uint8[at_once, height, width, channels]``; the last may be shorter.

    Args:
        pictures: of mode ``L`` or ``RGB``.
        count: how many there are.
        form: what they are brought to. Without ``channels``, each array has 1 channel or 3.
        at_once: images of an array.
        where: the option that named the data, for messages.
        remarks: receives a sentence if grey and colour are mixed and ``channels`` does not decide.

    Raises:
        DataError: mixed sizes without a ``size``.
    """
    left = iter(pictures)
    shape: tuple[int, int] | None = None
    for start in range(0, count, at_once):
        out: np.ndarray | None = None
        greys = 0
        for row, picture in enumerate(itertools.islice(left, min(at_once, count - start))):
            shape = shape or picture.size
            if form.size is None and picture.size != shape:
                found = " and ".join(f"{wide}x{high}" for wide, high in (shape, picture.size))
                raise DataError(
                    f"{where} mixes images of {found} pixels; give `image_size` or `resize` to resize them all."
                )
            is_grey = picture.mode == "L"
            greys += is_grey
            # The size comes first: the luma of a mean is not the mean of lumas, once they are rounded.
            sized = fitted(picture, form, where)
            pixels = np.asarray(sized.convert("L") if form.channels == 1 else sized)
            if out is None:
                channels = form.channels or (1 if is_grey else 3)
                out = np.empty((min(at_once, count - start), *pixels.shape[:2], channels), np.uint8)
            elif form.channels is None and out.shape[3] == 1 and not is_grey:
                colour = np.empty((*out.shape[:3], 3), np.uint8)
                colour[:row] = out[:row]
                out = colour
            out[row] = pixels.reshape(*pixels.shape[:2], -1)
        assert out is not None
        if form.channels is None and 0 < greys < len(out):
            remarks[
                f"{where} mixes grey and colour images: all are taken as red, green and blue, as in torchvision."
            ] = None
        yield out


def rows_of(images: np.ndarray, rows: np.ndarray, at_once: int) -> Iterator[np.ndarray]:
    """Rows (``int64[k]``) of an array, ``at_once`` at a time."""
    for start in range(0, len(rows), at_once):
        yield images[rows[start : start + at_once]]


def array_parts(blocks: Iterable[np.ndarray], form: Form, where: str) -> Iterator[np.ndarray]:
    """Bring blocks of images to a form.

    Args:
        blocks: ``uint8[k, height, width]`` or ``uint8[k, height, width, channels]`` with any number of channels.
        form: what they are brought to.
        where: the option that named the data, for messages.

    Yields:
        ``uint8[k, height, width, channels]``, contiguous.
    """
    for block in blocks:
        images = block[..., None] if block.ndim == 3 else block
        if form.size is not None and images.shape[1:3] != form.size:
            # One picture for each channel: Pillow knows no images of two channels, or of thirteen.
            sized = np.empty((len(images), *form.size, images.shape[3]), np.uint8)
            for row, channel in np.ndindex(len(images), images.shape[3]):
                plane = PIL.Image.fromarray(np.ascontiguousarray(images[row, ..., channel]))
                sized[row, ..., channel] = np.asarray(fitted(plane, form, where))
            images = sized
        yield np.ascontiguousarray(in_channels(images, form.channels))


def in_channels(images: np.ndarray, channels: int | None) -> np.ndarray:
    """``uint8[n, height, width, c]`` with 1 channel or 3, if it has 3 or 1; colour becomes its luma."""
    found = images.shape[3]
    if (found, channels) == (3, 1):
        return grey(images)
    return np.repeat(images, 3, axis=3) if (found, channels) == (1, 3) else images


def grey(images: np.ndarray) -> np.ndarray:
    """Red, green and blue to grey: ITU-R 601 luma, rounded as Pillow's mode "L" is.

    ``uint8[n, height, width, 3]`` -> ``uint8[n, height, width, 1]``.
    """
    out = np.empty((*images.shape[:3], 1), np.uint8)
    # Weights of 0.299, 0.587 and 0.114 in units of 2**-16; some thousand images at a time, for the memory.
    weights = np.array([19595, 38470, 7471], np.uint32)
    for start in range(0, len(images), 1024):
        part = images[start : start + 1024]
        out[start : start + 1024, ..., 0] = (part @ weights + np.uint32(1 << 15)) >> 16
    return out
