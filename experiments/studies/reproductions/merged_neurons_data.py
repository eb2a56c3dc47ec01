"""The images of the merged-neurons experiment: VehicleX if it is at hand, else cars by body type, or digits."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.errors import DataError
from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.data.sources.pictures import Form
from experiments.data.sources.vehiclex import vehiclex

VEHICLEX, STAND_IN = "vehiclex", "vehicle-body"
VEHICLES = 10
"""The document's "first 10 vehicle ID" (its abstract says 20)."""
SIZE = 32
_VALIDATION = 0.1


def read_splits(digits: bool, data_dir: str | None) -> Mapping[str, ImageSet]:
    """``train``, ``val`` and ``test``, grey, 32x32.

    Where the data has no ``val``, each class gives a tenth of its training images to it.

    Args:
        digits: whether to read scikit-learn's digits instead.
        data_dir: has a folder ``vehiclex`` (see :mod:`experiments.data.sources.vehiclex`) or ``vehicle-body``
            (parquet), of which the first is taken.

    Raises:
        DataError: neither is there, or it cannot be read.
    """
    if digits:
        found = {split: datasets.load("digits", split, images=300) for split in ("train", "test")}
    elif data_dir is None:
        raise DataError(f"merged-neurons needs --data-dir with a folder {VEHICLEX} or {STAND_IN}.")
    elif (Path(data_dir) / VEHICLEX).is_dir():
        found = _vehiclex(Path(data_dir) / VEHICLEX)
    else:
        source = f"parquet:{Path(data_dir) / STAND_IN}"
        found = {split: datasets.load(source, split, image_size=SIZE) for split in ("train", "test")}
    grey = {split: images.in_grey() for split, images in found.items()}
    if "val" not in grey:
        held = _tenth_of_each_class(grey["train"].labels)
        grey["val"] = _rows(grey["train"], held, "val")
        grey["train"] = _rows(grey["train"], ~held, "train")
    return grey


def _vehiclex(folder: Path) -> dict[str, ImageSet]:
    source = f"vehiclex:{folder}"
    found = {}
    for split, read in vehiclex(folder, f"--data-dir {folder.parent}", VEHICLES).items():
        part = read()
        count = len(part.labels)
        [pictures] = part.read(np.arange(count), Form((SIZE, SIZE), channels=3), count)
        found[split] = ImageSet(pictures, part.labels, part.classes, source, split)
    return found


def _tenth_of_each_class(labels: np.ndarray) -> np.ndarray:
    """``bool[n]``, the same for the same labels."""
    generator = np.random.default_rng(0)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        held[generator.permutation(rows)[: round(_VALIDATION * len(rows))]] = True
    return held


def _rows(images: ImageSet, chosen: np.ndarray, split: str) -> ImageSet:
    return replace(images, pixels=images.images[chosen], labels=images.labels[chosen], split=split)
