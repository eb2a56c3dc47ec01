"""Parquet files of encoded images, from a folder or from the hub."""

import glob
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from experiments.image_arrays import decode, reason, stack_pictures
from experiments.raw_split import (
    SPLIT_NAMES,
    RawSplit,
    Splits,
    checked_labels,
    existing,
    label_values,
    numbered,
    ordered,
    quiet,
)

_SHARD = re.compile(r"(\w+)-\d{5}-of-\d{5}$")
_NAMED_SPLIT = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?![A-Za-z0-9])")
_LABEL_NAMES = ("label", "labels", "fine_label")
_IMAGE_NAMES = ("img", "image")


@dataclass(frozen=True)
class HubName:
    """Where a named data set is on the hub, and which splits it has there."""

    repository: str
    config: str
    splits: tuple[str, ...] = ("train", "test")


HUB: dict[str, HubName] = {
    "cifar10": HubName("uoft-cs/cifar10", "plain_text"),
    "fashion_mnist": HubName("zalando-datasets/fashion_mnist", "fashion_mnist"),
    "svhn": HubName("ufldl-stanford/svhn", "cropped_digits", ("train", "test", "extra")),
}
"""The named data sets that come from the hub."""


def hub(name: str) -> Splits:
    """A named data set from the hub or, where it was fetched before, from the cache of its client.

    Raises:
        DataError: on reading a split, when the hub cannot be reached.
    """

    def read(split: str) -> RawSplit:
        where = f"--data {name}"
        entry = HUB[name]
        with quiet() as library:
            try:
                table = library.load_dataset(entry.repository, entry.config, split=split)
            except Exception as error:
                raise DataError(
                    f"{where} cannot be fetched from the hub as {entry.repository} ({reason(error)}); "
                    "pass --data-dir FOLDER with its parquet files."
                ) from error
        return _from_table(table, where)

    return {split: partial(read, split) for split in HUB[name].splits}


def parquet(path: Path, where: str, name: str | None = None) -> Splits:
    """Parquet files with one column of encoded images and one of labels.

    Args:
        path: a file, a folder that holds the files or has them in ``data/``, or, where ``name`` is given,
            the parent of such a folder called ``name``.
        where: the option that named the path, for messages.
        name: the named data set that the files are, if any.

    Raises:
        DataError: no such files, or a split cannot be told from a file's name; on reading a split, files
            that are damaged or do not hold labelled images.
    """
    path = existing(path, where)
    files: list[Path] = [path] if path.is_file() else []
    folders = [path / "data", path]
    if name:
        # The subfolder goes first: it says which data set it is, loose files beside it do not.
        folders = [path / name / "data", path / name, *folders]
        folders += [base / HUB[name].config for base in (path / name, path)]
    for folder in folders:
        files = files or sorted(file for file in folder.glob("*.parquet") if file.is_file())
    if not files:
        parent = f", or a folder that has one called {name}" if name else ""
        raise DataError(
            f"{where} holds no parquet files; give one, or a folder with data/train-*.parquet{parent}."
        )
    found = {file: _split_of(file) for file in files}
    unnamed = [file.name for file, split in found.items() if split is None]
    if unnamed and len(unnamed) < len(files):
        raise DataError(
            f"{where} has a file {unnamed[0]} whose name tells no split; rename it like train-0.parquet."
        )
    shards: dict[str, list[Path]] = {}
    for file, split in found.items():
        shards.setdefault(split or "train", []).append(file)

    def read(split: str) -> RawSplit:
        # Without names for the classes, their number is the highest label of any split: a network trained
        # on one split must have the same outputs as one tested on another.
        others = (_parquet_table(shards[other], where) for other in shards if other != split)
        return _from_table(_parquet_table(shards[split], where), where, others)

    return {split: partial(read, split) for split in ordered(shards)}


def _split_of(file: Path) -> str | None:
    """The split that a file's name tells, or ``None``."""
    match = _SHARD.match(file.stem) or _NAMED_SPLIT.match(file.stem)
    return match.group(1) if match else None


def _parquet_table(files: list[Path], where: str) -> Any:
    """The files of one split as one table."""
    with quiet() as library:
        try:
            builder = library.load_dataset_builder(
                "parquet", data_files=[glob.escape(str(file)) for file in files]
            )
            builder.download_and_prepare()
            if builder.info.splits["train"].num_examples:
                return builder.as_dataset("train")
            # The library refuses a split without rows, which has an error of its own here.
            columns = builder.info.features
            return library.Dataset.from_dict({name: [] for name in columns}, features=columns)
        except Exception as error:
            raise DataError(
                f"{where} has parquet files that cannot be read ({reason(error)}); fetch or write them again."
            ) from error


def _from_table(table: Any, where: str, others: Iterable[Any] = ()) -> RawSplit:
    """Find the columns of a table, check its labels and leave its images encoded."""
    import datasets

    features = table.features
    pictures = [name for name, kind in features.items() if _holds_pictures(kind)]
    named = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    whole = [name for name, kind in features.items() if re.match(r"u?int\d+$", getattr(kind, "dtype", ""))]
    picture_column = _column(
        pictures, pictures, _IMAGE_NAMES, features, f"{where} has no single column of images"
    )
    label_column = _column(
        named or whole,
        [*named, *whole],
        _LABEL_NAMES,
        features,
        f"{where} has no single column of integer labels",
    )
    labels = label_values(table, label_column)
    kind = features[label_column]
    if isinstance(kind, datasets.ClassLabel):
        classes = tuple(kind.names)
        checked = checked_labels(labels, len(classes), where)
    else:
        checked = checked_labels(labels, None, where)
        rest = [
            checked_labels(label_values(other, label_column), None, where)
            for other in others
            if label_column in other.features
        ]
        classes = numbered([checked, *rest])

    def cells(chosen: np.ndarray) -> Iterator[bytes | None]:
        rows = table.select_columns([picture_column]).with_format("arrow").select(chosen)
        for batch in rows.iter(batch_size=1000):
            for cell in batch.column(picture_column).to_pylist():
                # A path in the table is not followed: files of the reader's machine are not its business.
                yield cell["bytes"] if cell else None

    def read(chosen: np.ndarray, size: int | None) -> np.ndarray:
        return stack_pictures(decode(cells(chosen), where), len(chosen), size, where)

    return RawSplit(checked, classes, read)


def _holds_pictures(kind: Any) -> bool:
    """Whether a column is of images; files written without the library's notes show only the struct."""
    import datasets

    return isinstance(kind, datasets.Image) or (isinstance(kind, dict) and "bytes" in kind)


def _column(likely: list[str], possible: list[str], names: tuple[str, ...], features: Any, missing: str) -> str:
    """The column with a usual name or, without one, the only likely one."""
    for name in names:
        if name in possible:
            return name
    # A column with the usual name and the wrong type is a mistake, not a reason to take another column.
    wrong = [name for name in names if name in features]
    if len(likely) != 1 or wrong:
        raise DataError(f"{missing} among {', '.join(features) or 'none'}; name one {names[0]} with that type.")
    return likely[0]
