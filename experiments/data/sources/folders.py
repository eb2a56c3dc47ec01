"""Folders of images, a folder for each class, as torchvision's ``ImageFolder`` reads them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments.data.sources.image_arrays import picture_parts
from experiments.data.sources.pictures import Form, decode, shown
from experiments.data.sources.raw_split import SPLIT_NAMES, RawSplit, Splits, UnlabelledError, existing, ordered
from models.classes import Unnamed

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Ends of the names of images, in any case: those of torchvision."""

_APPLE_DOUBLE = "._"
"""macOS writes such a file beside every file on disks of other systems; it holds no image."""

_LIKE_A_SPLIT = re.compile(
    r"(?<![a-z])(train|test|valid|val|dev|eval)(ing|ation|uation|set|data|images)?(?![a-z])", re.IGNORECASE
)
"""Names of splits in other words, such as ``training``, ``test_set``, ``seg_train`` and ``val2017``."""

_SHOWN = 5


def image_folder(path: Path, where: str, *, labelled: bool = True) -> Splits:
    """Image files in ``SPLIT/CLASS/``, or in ``CLASS/`` where no folder has the name of a split.

    Every folder is a class, sorted by its name; folders in it are part of it. The classes are those of all splits
    together. A folder without an image in any split is no class.

    Without ``labelled`` folders mean nothing: all images in and under the folder of the split are read, in the
    order of their own names, so that a flat copy of the folder is read alike.

    Raises:
        DataError: no such folder, or its folders look like splits under other names; on reading a split, no
            images in it, or folders that cannot be read.
    """
    path = existing(path, where)
    if not path.is_dir():
        raise DataError(f"{where} is no folder; put images in PATH/train/CLASS/.")
    found = [entry for entry in _entries(path, where) if _is_folder(entry)]
    splits: dict[str, Path] = {}
    for entry in found:
        name = entry.name.lower()
        if name in splits:
            both = f"{splits[name].name} and {entry.name}"
            raise DataError(f"{where} has two folders of the split {name}, {both}; join them, or rename one.")
        if name in SPLIT_NAMES:
            splits[name] = Path(entry.path)
    names = [entry.name for entry in found]
    if names and not splits and all(map(_LIKE_A_SPLIT.search, names)):
        raise DataError(
            f"{where} has only folders that look like splits and would be read as classes: {_some(names)}; "
            "rename them to train and test, or give one of them as the folder."
        )
    beside = [entry.name for entry in found if entry.name.lower() not in SPLIT_NAMES] if splits else []
    folders = splits or {"train": path}

    def read(split: str) -> RawSplit:
        if not labelled:
            return _read_all(_Folder.of(folders[split], where), split, beside, where)
        return _read({name: _Folder.of(folder, where) for name, folder in folders.items()}, split, beside, where)

    return {split: partial(read, split) for split in ordered(folders)}


@dataclass(frozen=True)
class _Folder:
    """The files of one split.

    Attributes:
        path: of the split.
        images: of each class, in order; the list of a class may be empty.
        outside: images in no class.
        others: files that are no images by their names.
        nested: images in a folder within that of their class.
    """

    path: Path
    images: dict[str, list[Path]] = field(default_factory=dict)
    outside: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    nested: list[Path] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, where: str) -> "_Folder":
        """List a split."""
        found = cls(path)
        entries = _entries(path, where)
        for name in sorted(entry.name for entry in entries if _is_folder(entry)):
            if shown(name) != name:
                raise DataError(
                    f"{where} has a folder {shown(path / name)}, whose name is not UTF-8, or not read as such "
                    "here; rename it, or set PYTHONUTF8=1."
                )
            own = found.images[name] = []
            # ImageFolder sorts folders by their paths as text, and the files within each.
            for folder, files in sorted(_walk(path / name, where)):
                images = [Path(folder, file) for file in sorted(files) if _is_image(file)]
                found.others.extend(Path(folder, file) for file in sorted(files) if not _is_image(file))
                found.nested.extend(images if folder != str(path / name) else [])
                own.extend(images)
        for entry in entries:
            if not _is_folder(entry):
                (found.outside if _is_image(entry.name) else found.others).append(Path(entry.path))
        return found

    @property
    def filled(self) -> set[str]:
        """The classes that have images."""
        return {name for name, files in self.images.items() if files}

    def unlabelled(self, known: set[str]) -> str | None:
        """Why the images have no labels, if so; ``known`` are the classes of the training images."""
        filled = self.filled
        if not filled and self.outside:
            return f"its images lie in no folder of a class, such as {shown(self.outside[0])}"
        if len(filled) == 1 and known and not filled & known:
            [only] = filled
            return f"its one folder, {only}, is no class of the training images"
        return None


def _read(folders: dict[str, _Folder], split: str, beside: list[str], where: str) -> RawSplit:
    """One split, with the classes of all splits that have labels."""
    known = folders["train"].filled if "train" in folders else set()
    missing = {name: folder.unlabelled(set() if name == "train" else known) for name, folder in folders.items()}
    if (why := missing[split]) is not None:
        raise UnlabelledError(why)
    own = folders[split]
    if not own.filled:
        raise DataError(f"{where} holds no images in split {split}; {_instead(own)}{shown(own.path)}/CLASS/.")
    classes = sorted(set().union(*(folder.filled for name, folder in folders.items() if missing[name] is None)))
    files = [file for name in classes for file in own.images.get(name, ())]
    labels = np.repeat(np.arange(len(classes)), [len(own.images.get(name, ())) for name in classes])
    remarks = dict.fromkeys(_remarks(own, classes, beside, f"{where}, split {split}"))
    return _pictures(files, labels.astype(np.int32), tuple(classes), remarks, where)


def _read_all(folder: _Folder, split: str, beside: list[str], where: str) -> RawSplit:
    """All images of a split, whatever folders they are in, with label 0 each."""
    files = sorted(
        [*folder.outside, *(file for files in folder.images.values() for file in files)],
        key=lambda file: (file.name, str(file)),
    )
    if not files:
        raise DataError(f"{where} holds no images in split {split}; {_instead(folder)}{shown(folder.path)}.")
    plain = replace(folder, outside=[], nested=[], images={})
    remarks = dict.fromkeys(_remarks(plain, [], beside, f"{where}, split {split}"))
    return _pictures(files, np.zeros(len(files), np.int32), Unnamed.of(1), remarks, where)


def _instead(folder: _Folder) -> str:
    """What to do where a split has no images, before the place for images is named."""
    if not folder.others:
        return "put them in "
    found = shown(folder.others[0].relative_to(folder.path))
    return f"files such as {found} are none by their names; convert them to one of {', '.join(SUFFIXES)} in "


def _pictures(
    files: list[Path], labels: np.ndarray, classes: tuple[str, ...], remarks: dict[str, None], where: str
) -> RawSplit:
    def parts(chosen: np.ndarray, form: Form, at_once: int) -> Iterator[np.ndarray]:
        pictures = decode((files[row] for row in chosen), where, remarks)
        return picture_parts(pictures, len(chosen), form, at_once, where, remarks)

    return RawSplit(labels, classes, parts, remarks)


def _remarks(folder: _Folder, classes: list[str], beside: list[str], where: str) -> Iterator[str]:
    """A sentence on each kind of files and folders that another reader might have taken otherwise."""
    if folder.others:
        yield f"{where}: left out, no image by name: {_within(folder, folder.others)}."
    if folder.outside:
        yield f"{where}: left out, in no folder of a class: {_within(folder, folder.outside)}."
    if folder.nested:
        nested = dict.fromkeys(file.parent for file in folder.nested)
        yield f"{where}: read as part of the class that holds them: {_within(folder, list(nested))}."
    if empty := [name for name in folder.images if name not in classes]:
        yield f"{where}: left out, folders without an image: {_some(empty)}."
    if absent := [name for name in classes if not folder.images.get(name)]:
        yield f"{where}: classes without an image here: {_some(absent)}."
    if beside:
        yield f"{where}: left out, folders beside those of splits: {_some(beside)}."


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + rest


def _within(folder: _Folder, files: list[Path]) -> str:
    return _some([str(file.relative_to(folder.path)) for file in files])


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(_APPLE_DOUBLE)


def _walk(
    folder: Path, where: str, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, list[str]]]:
    """Each folder, links followed, with the names of its files."""
    status = folder.stat()
    own = (status.st_dev, status.st_ino)
    if own in above:
        raise DataError(f"{where} has a link {shown(folder)} to a folder that holds it; remove the link.")
    entries = _entries(folder, where)
    yield str(folder), [entry.name for entry in entries if not _is_folder(entry)]
    for entry in entries:
        if _is_folder(entry):
            yield from _walk(Path(entry.path), where, above | {own})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself: no folder, and an image that cannot be read if its name says so.
        return False


def _entries(folder: Path, where: str) -> list[os.DirEntry[str]]:
    """The content of a folder, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{where} has a folder {shown(folder)} that cannot be read ({error.strerror}); make it readable."
        ) from error
