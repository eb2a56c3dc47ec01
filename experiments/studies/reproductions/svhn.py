"""SVHN's cropped digits with held-out images, which neither training nor search uses."""

import io
from pathlib import Path

import numpy as np

from engine.stores.atomic import make_folder, write_atomically
from experiments.data import datasets
from experiments.data.options import DataOptions

PARTS = 5
"""Equal parts of the training crops; without a test split the last part is held out."""


def svhn(folder: Path, data_dir: str | None) -> tuple[DataOptions, bool]:
    """SVHN with a test split, and whether that is its own.

    Without one, the last part of the training crops is held out, as ``svhn.npz`` in ``folder``: the crops of one
    photograph stand next to each other, and a random division would have them on both sides.

    Raises:
        DataError: the data cannot be read.
    """
    if "test" in datasets.available_splits("svhn", data_dir=data_dir):
        return DataOptions("svhn", data_dir), True
    path = folder / "svhn.npz"
    if not path.is_file():
        crops = datasets.load("svhn", "train", data_dir=data_dir)
        kept = len(crops) - len(crops) // PARTS
        content = io.BytesIO()
        np.savez_compressed(
            content,
            x_train=crops.images[:kept],
            y_train=crops.labels[:kept],
            x_test=crops.images[kept:],
            y_test=crops.labels[kept:],
        )
        make_folder(folder)
        write_atomically(path, content.getvalue())
    return DataOptions(f"npz:{path.resolve()}"), False
