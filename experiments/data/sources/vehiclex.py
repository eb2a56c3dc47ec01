"""VehicleX (Yao et al. 2020, arXiv:1912.08855) in its published layout, which Asaraf Ali uses.

    PATH/train/0001_c001_1.jpg    PATH/val/...    PATH/test/...

or the folders of its re-identification form, ``image_train``, ``image_query`` and ``image_test`` (VeRi's names)
and ``sys_image_train`` (the AI City Challenge's). A file name begins with the ID of the vehicle, which is the
class; camera and number follow. ``train_label.xml``, with colours and orientations, is not read.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments.data.sources.image_arrays import picture_parts
from experiments.data.sources.pictures import Form, decode
from experiments.data.sources.raw_split import RawSplit, Splits, existing, ordered

FOLDERS = {
    "train": ("train", "image_train", "sys_image_train"),
    "val": ("val", "image_query"),
    "test": ("test", "image_test"),
}
"""Split -> the names that its folder may have; the first that exists is read."""

_NAME = re.compile(r"(\d+)_c\d+_\d+\.(jpg|jpeg|png)$", re.IGNORECASE)


def vehiclex(path: Path, where: str, first: int | None = None) -> Splits:
    """The splits of a VehicleX folder; the classes are the vehicle IDs of all splits together, in order.

    Args:
        path: the folder.
        where: the option that named it, for messages.
        first: the number of lowest vehicle IDs to keep; all if None.

    Raises:
        DataError: no such folder, no images in it, an image whose name has no vehicle ID, or fewer than
            ``first`` vehicles.
    """
    path = existing(path, where)
    files: dict[str, list[Path]] = {}
    for split, names in FOLDERS.items():
        folder = next((path / name for name in names if (path / name).is_dir()), None)
        if folder is not None:
            found = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
            files |= {split: found} if found else {}
    if not files:
        raise DataError(f"{where} holds no images of VehicleX; put them in {path}/train/0001_c001_1.jpg.")
    vehicles = sorted({_vehicle(file, where) for found in files.values() for file in found})
    if first is not None and not 0 < first <= len(vehicles):
        raise DataError(f"{where} has {len(vehicles)} vehicles; ask for 1 to {len(vehicles)}, not {first}.")
    classes = tuple(str(vehicle) for vehicle in vehicles[:first])
    numbers = {int(name): number for number, name in enumerate(classes)}

    def read(split: str) -> RawSplit:
        chosen = [file for file in files[split] if _vehicle(file, where) in numbers]
        labels = np.array([numbers[_vehicle(file, where)] for file in chosen], np.int32)

        remarks: dict[str, None] = {}

        def parts(rows: np.ndarray, form: Form, at_once: int) -> Iterator[np.ndarray]:
            pictures = decode((chosen[row] for row in rows), where, remarks)
            return picture_parts(pictures, len(rows), form, at_once, where, remarks)

        return RawSplit(labels, classes, parts, remarks)

    return {split: partial(read, split) for split in ordered(files)}


def _vehicle(file: Path, where: str) -> int:
    match = _NAME.match(file.name)
    if match is None:
        raise DataError(f"{where} has {file}, whose name tells no vehicle; VehicleX's are like 0001_c001_1.jpg.")
    return int(match.group(1))
