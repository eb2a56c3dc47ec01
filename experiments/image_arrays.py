"""Encoded or loose pictures into one dense array, with every check that they belong together."""

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from engine.errors import DataError

_CHANNELS = {"L": 1, "RGB": 3}
# Pillow opens by content, not by name.  Only plain raster formats are allowed: some of the others (EPS)
# are programs that Pillow would hand to an interpreter.
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP")


def reason(error: BaseException) -> str:
    """The first sentence of the innermost cause of ``error``, short enough to stand inside a sentence."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.split(r"\n|\.\s", str(error).strip())[0].strip(" .")
    text = text if len(text) <= 160 else text[:157] + "..."
    return text or type(error).__name__


def decode(files: Iterable[bytes | Path | None], where: str) -> Iterator[PIL.Image.Image]:
    """Decode pictures one by one, from their bytes or from a path.

    Raises:
        DataError: a picture is missing, damaged or not in one of the raster formats read here.
    """
    for number, file in enumerate(files):
        what = str(file) if isinstance(file, Path) else f"picture {number} of those chosen"
        if file is None:
            raise DataError(f"{where} has no bytes for {what}; store the encoded pictures in the file itself.")
        try:
            picture = PIL.Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=_FORMATS)
            with picture:
                picture.load()
                # Cameras record how they were held instead of turning the pixels.
                turned = PIL.ImageOps.exif_transpose(picture) if "exif" in picture.info else picture
        except Exception as error:
            raise DataError(
                f"{where} has an unreadable image, {what} ({reason(error)}); replace or remove it."
            ) from error
        yield turned


def stack_pictures(pictures: Iterable[PIL.Image.Image], count: int, size: int | None, where: str) -> np.ndarray:
    """Bring ``count`` pictures into one array ``uint8[count, height, width, channels]``.

    Args:
        pictures: grey or RGB, all of one mode.
        count: how many there are, at least 1.
        size: height and width to resize to; when ``None`` all must have one size already.
        where: the option that named the data, for messages.

    Raises:
        DataError: a mode other than grey or RGB, mixed modes, or mixed sizes without ``size``.
    """
    out: np.ndarray | None = None
    mode, shape = "", (0, 0)
    for row, picture in enumerate(pictures):
        if picture.mode not in _CHANNELS:
            raise DataError(f"{where} has an image of mode {picture.mode}; convert all images to L or RGB.")
        if out is None:
            mode, shape = picture.mode, picture.size
            width, height = (size, size) if size else shape
            out = np.empty((count, height, width, _CHANNELS[mode]), np.uint8)
        if picture.mode != mode:
            raise DataError(f"{where} mixes {mode} and {picture.mode} images; convert them all to one mode.")
        if size is None and picture.size != shape:
            found = " and ".join(f"{wide}x{high}" for wide, high in (shape, picture.size))
            raise DataError(f"{where} mixes images of {found} pixels; give --image-size to resize them all.")
        pixels = np.asarray(_resized(picture, size))
        out[row] = pixels.reshape(out.shape[1:])
    assert out is not None
    return out


def stack_array(images: np.ndarray, chosen: np.ndarray, size: int | None) -> np.ndarray:
    """Pick rows of an array and resize them.

    Args:
        images: ``uint8[n, height, width]`` or ``uint8[n, height, width, channels]`` with any number of channels.
        chosen: ``int64[k]``, the rows to pick.
        size: height and width to resize to, or ``None`` to leave them.

    Returns:
        ``uint8[k, height, width, channels]``.
    """
    picked = images[chosen]
    if picked.ndim == 3:
        picked = picked[..., None]
    if size is None or picked.shape[1:3] == (size, size):
        return np.ascontiguousarray(picked)
    # One picture for each channel: Pillow knows no images of two channels, or of thirteen.
    planes = np.moveaxis(picked, -1, 1).reshape(-1, *picked.shape[1:3])
    resized = np.stack([np.asarray(_resized(PIL.Image.fromarray(plane), size)) for plane in planes])
    return np.ascontiguousarray(np.moveaxis(resized.reshape(len(picked), -1, size, size), 1, -1))


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


def _resized(picture: PIL.Image.Image, size: int | None) -> PIL.Image.Image:
    """The picture at ``size`` by ``size`` pixels, or itself where it has that size."""
    if size is None or picture.size == (size, size):
        return picture
    return picture.resize((size, size), PIL.Image.Resampling.BILINEAR)
