"""Decodes pictures as torchvision's ``ImageFolder`` does, and brings each to the size of a model."""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from engine.errors import DataError
from experiments.data.options import SQUASH
from models import git_lfs

# Pillow opens by content, not by name.  Only plain raster formats are allowed: some of the others (EPS)
# are programs that Pillow would hand to an interpreter.
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP", "GIF", "JPEG2000")
_GREY = frozenset({"1", "L", "LA", "La", "I", "F"})
# Above this number of pixels, a cover of the square to crop from would fill the memory.
_MOST_PIXELS = 2 * (PIL.Image.MAX_IMAGE_PIXELS or 89_478_485)


@dataclass(frozen=True)
class Form:
    """What every image is brought to.

    Attributes:
        size: height and width in pixels; None leaves the size, which must then be the same for all.
        resize: one of :data:`experiments.data.options.RESIZES`.
        channels: 1 (grey) or 3 (red, green, blue). None: 1 if all images are grey, else 3. Arrays with another
            number of channels keep them.
    """

    size: tuple[int, int] | None = None
    resize: str = SQUASH
    channels: int | None = None


def reason(error: BaseException) -> str:
    """The first sentence of the innermost cause of ``error``, short enough to stand inside a sentence."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.split(r"\n|\.\s", str(error).strip())[0].strip(" .")
    text = text if len(text) <= 160 else text[:157] + "..."
    return text or type(error).__name__


def shown(path: object) -> str:
    """A path as text that every terminal can print: bytes that are not UTF-8 as escapes."""
    return str(path).encode(errors="backslashreplace").decode()


def decode(
    files: Iterable[bytes | Path | None], where: str, remarks: dict[str, None]
) -> Iterator[PIL.Image.Image]:
    """Decode pictures one by one, from bytes or from a path: into mode ``L`` if they are grey, else ``RGB``.

    As torchvision does: the first frame of an animation, without transparency, not turned as a camera notes.

    Args:
        files: the pictures.
        where: the option that named the data, for messages.
        remarks: receives a sentence for the user where the conversion loses values.

    Raises:
        DataError: a picture is missing, damaged or not in one of the raster formats read here.
    """
    said = False
    for number, file in enumerate(files):
        what = shown(file) if isinstance(file, Path) else f"picture {number} of those chosen"
        if file is None:
            raise DataError(f"{where} has no bytes for {what}; store the encoded pictures in the file itself.")
        if isinstance(file, Path) and file.exists() and not file.is_file():
            # To read a pipe may never end.
            raise DataError(f"{where} has {what}, which is no regular file; remove it.")
        try:
            # Pillow warns of large pictures and of odd metadata, which change no pixel.
            with warnings.catch_warnings(action="ignore"):
                source = io.BytesIO(file) if isinstance(file, bytes) else file
                with PIL.Image.open(source, formats=_FORMATS) as picture:
                    deep = picture.mode[0] in "IF"
                    grey = picture.mode in _GREY or picture.mode.startswith("I;16")
                    # By way of RGB, as torchvision: a mode may have no conversion of its own to grey.
                    decoded = picture.convert("RGB")
                    decoded = decoded.convert("L") if grey else decoded
        except Exception as error:
            raise DataError(
                f"{where} has an unreadable image, {what} ({_cause(file, error)}); {_remedy(error)}."
            ) from error
        if deep and not said:
            said = True
            remarks[
                f"{where} has pictures of more than 8 bits a pixel, such as {what}: values above 255 count as "
                "255, as in torchvision; write pictures of 8 bits if these use more."
            ] = None
        yield decoded


def fitted(picture: PIL.Image.Image, form: Form, where: str) -> PIL.Image.Image:
    """The picture at the size of ``form``, by bilinear interpolation with antialiasing.

    ``crop`` gives the pixels of torchvision's ``Resize(size)`` and ``CenterCrop(size)``.

    Raises:
        DataError: the picture is so long that it cannot be cropped.
    """
    if form.size is None or picture.size == form.size[::-1]:
        return picture
    height, width = form.size
    if form.resize == SQUASH:
        return picture.resize((width, height), PIL.Image.Resampling.BILINEAR)
    wide, high = picture.size
    # The side that needs the larger scale gets its size, and the other is rounded down.
    if wide * height <= high * width:
        wide, high = width, int(width * high / wide)
    else:
        wide, high = int(height * wide / high), height
    if wide * high > _MOST_PIXELS:
        raise DataError(
            f"{where} has a picture of {picture.size[0]}x{picture.size[1]} pixels, too long to crop; remove it."
        )
    left, top = round((wide - width) / 2), round((high - height) / 2)
    covering = picture.resize((wide, high), PIL.Image.Resampling.BILINEAR)
    return covering.crop((left, top, left + width, top + height))


def _cause(file: bytes | Path, error: Exception) -> str:
    """Why a picture cannot be read."""
    try:
        start = file[:40] if isinstance(file, bytes) else file.open("rb").read(40)
    except OSError:
        return reason(error)
    if not start:
        return "it is empty"
    if git_lfs.is_pointer(start):
        return "it is a pointer of Git LFS: run 'git lfs pull' in its repository"
    if isinstance(error, PIL.UnidentifiedImageError):
        return f"it is no picture in one of the formats {', '.join(_FORMATS)}"
    return reason(error)


def _remedy(error: Exception) -> str:
    return "make it readable" if isinstance(error, PermissionError) else "replace or remove it"
