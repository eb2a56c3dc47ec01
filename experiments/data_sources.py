"""Sources of labelled images other than parquet: scikit-learn's digits, folders of files, npz arrays.

Every source is a mapping from the name of a split to a function that reads it.  Reading a split reads and
checks its labels; its images are decoded only by ``RawSplit.read``, and only those asked for.
"""

import glob
from functools import partial
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments.image_arrays import decode, reason, stack_array, stack_pictures
from experiments.raw_split import (
    SPLIT_NAMES,
    RawSplit,
    Splits,
    checked_labels,
    column_values,
    existing,
    label_values,
    numbered,
    ordered,
    quiet,
)

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})


def digits() -> Splits:
    """The 1,797 handwritten digits of scikit-learn: 8x8, grey, 80 % ``train`` and 20 % ``test``."""
    return {name: partial(_digits, name) for name in ("train", "test")}


def _digits(split: str) -> RawSplit:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    # The division is part of what this data set is: it does not follow the seed of a run.
    train, test = train_test_split(
        np.arange(len(found.target)), test_size=0.2, stratify=found.target, random_state=0
    )
    rows = np.sort(train if split == "train" else test)
    images = np.rint(found.images[rows] * (255 / 16)).astype(np.uint8)
    classes = tuple(str(name) for name in found.target_names)
    return RawSplit(found.target[rows].astype(np.int32), classes, partial(stack_array, images))


def image_folder(path: Path, where: str) -> Splits:
    """Image files in ``SPLIT/CLASS/``, or in ``CLASS/`` where no folder has the name of a split.

    The classes are the folders of all splits together, by name.

    Raises:
        DataError: no such folder, no images in it, or images that are not in the folder of a class.
    """
    path = existing(path, where)
    folders = {name: path / name for name in SPLIT_NAMES if (path / name).is_dir()} or {"train": path}
    patterns: dict[str, list[str]] = {}
    for split, folder in folders.items():
        suffixes = set()
        for file in folder.rglob("*"):
            inside = file.relative_to(folder)
            if file.suffix.lower() not in _IMAGE_SUFFIXES or any(part[0] == "." for part in inside.parts):
                continue
            if len(inside.parts) != 2:
                raise DataError(f"{where} has {file} outside a class; put images in {folder}/CLASS/.")
            suffixes.add(file.suffix)
        if suffixes:
            patterns[split] = [f"{glob.escape(str(folder))}/*/*{suffix}" for suffix in sorted(suffixes)]
    if not patterns:
        raise DataError(f"{where} holds no images; put them in {path}/train/CLASS/.")

    def read(split: str) -> RawSplit:
        with quiet() as library:
            try:
                table = library.load_dataset("imagefolder", data_files=patterns, drop_labels=False)[split]
            except Exception as error:
                raise DataError(
                    f"{where} cannot be read as a folder of images ({reason(error)}); check its files."
                ) from error
        files = [Path(cell["path"]) for cell in column_values(table, "image")]
        # The order of a listing differs between file systems.
        order = sorted(range(len(files)), key=lambda row: files[row].parts)
        classes = tuple(table.features["label"].names)
        labels = checked_labels(label_values(table, "label"), len(classes), where)[order]

        def stack(chosen: np.ndarray, size: int | None) -> np.ndarray:
            picked = (files[order[row]] for row in chosen)
            return stack_pictures(decode(picked, where), len(chosen), size, where)

        return RawSplit(labels, classes, stack)

    return {split: partial(read, split) for split in ordered(patterns)}


def npz(path: Path, where: str) -> Splits:
    """Arrays in one ``.npz`` file: ``x_train, y_train, x_test, y_test``, or ``images, labels`` (``train``).

    Images are ``uint8[n, height, width]`` or ``uint8[n, height, width, channels]``, labels integers ``[n]``
    or ``[n, 1]``.

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
    splits = {split: pair for split, pair in pairs.items() if set(pair) <= keys}
    if not splits and {"images", "labels"} <= keys:
        splits = {"train": ("images", "labels")}
    if not splits:
        found = ", ".join(sorted(keys)) or "nothing"
        raise DataError(
            f"{where} holds {found}; store x_train, y_train, x_test and y_test, or images and labels."
        )

    def array(key: str) -> np.ndarray:
        try:
            with np.load(path, allow_pickle=False) as archive:
                return archive[key]
        except Exception as error:
            raise DataError(
                f"{where} has an unreadable array {key} ({reason(error)}); write it again."
            ) from error

    def read(split: str) -> RawSplit:
        images = array(splits[split][0])
        labels = {name: _flat_labels(array(key), key, where) for name, (_, key) in splits.items()}
        _check_images(images, splits[split][0], where)
        if len(images) != len(labels[split]):
            raise DataError(
                f"{where} has {len(images)} images but {len(labels[split])} labels for split {split}; "
                "store one label for each image."
            )
        return RawSplit(labels[split], numbered(labels.values()), partial(stack_array, images))

    return {split: partial(read, split) for split in splits}


def _flat_labels(labels: np.ndarray, key: str, where: str) -> np.ndarray:
    """Labels as ``int32[n]`` from ``[n]``, or from ``[n, 1]`` as Keras gives them."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{where} has {key} of shape {labels.shape}; store one integer for each image.")
    return checked_labels(labels, None, where)


def _check_images(images: np.ndarray, key: str, where: str) -> None:
    """Refuse images that are not ``uint8`` with the channels last."""
    channels_first = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4
    fits = images.ndim in (3, 4) and not channels_first
    if images.dtype != np.uint8 or not fits or 0 in images.shape[1:]:
        raise DataError(
            f"{where} has {key} of shape {images.shape} and type {images.dtype}; "
            "store uint8 of shape (n, height, width) or (n, height, width, channels)."
        )
