"""Parquet files of encoded images, from a folder or from the hub."""

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from experiments.data.sources.columns import chosen_column
from experiments.data.sources.image_arrays import picture_parts
from experiments.data.sources.pictures import Form, decode, reason
from experiments.data.sources.raw_split import (
    SPLIT_NAMES,
    RawSplit,
    Splits,
    UnlabelledError,
    checked_labels,
    existing,
    numbered,
    ordered,
)
from models.classes import Unnamed

_SHARD = re.compile(r"(\w+)-\d{5}-of-\d{5}$")
_NAMED_SPLIT = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?![A-Za-z0-9])")
_LABEL_NAMES = ("label", "labels", "fine_label")
_IMAGE_NAMES = ("img", "image")
# Encoded pictures that are in memory at a time.
_ROWS = 64


@dataclass(frozen=True)
class HubName:
    """The place of a named data set on the hub, and its splits there."""

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
    """A named data set from the hub, or from the cache of its client after the first download.

    Raises:
        DataError: on reading a split, when the hub cannot be reached, or its client has no cache to write to.
    """

    def read(split: str) -> RawSplit:
        where = f"`data` {name}"
        entry = HUB[name]
        with _quiet() as library:
            try:
                found = library.load_dataset(entry.repository, entry.config, split=split)
            except Exception as error:
                from huggingface_hub.constants import HF_HUB_CACHE

                for cache in (library.config.HF_DATASETS_CACHE, HF_HUB_CACHE):
                    _check_cache(Path(cache), where)
                raise DataError(
                    f"{where} cannot be fetched from the hub as {entry.repository} ({reason(error)}); "
                    "pass `data_dir` FOLDER with its parquet files."
                ) from error
        return _from_table(_Table.of_library(found), where)

    return {split: partial(read, split) for split in HUB[name].splits}


def _check_cache(cache: Path, where: str) -> None:
    """Refuse a cache in which the client of the hub can write nothing."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise DataError(
            f"{where} cannot be fetched: the cache of the Hugging Face hub, {cache}, cannot be written "
            f"({error.strerror}); set HF_HOME to another folder, or pass `data_dir` FOLDER with parquet files."
        ) from error


def parquet(path: Path, where: str, name: str | None = None, *, labelled: bool = True) -> Splits:
    """Parquet files with one column of encoded images and one of labels.

    Args:
        path: a file, a folder of files or with ``data/``, or the parent of such a folder called ``name``.
        where: the option that named the path, for messages.
        name: the named data set that the files are, if any.
        labelled: False reads no labels, which then need not be there.

    Raises:
        DataError: no such files, or a split cannot be told from a file's name; on reading a split, damaged files.
    """
    path = existing(path, where)
    files: list[Path] = [path] if path.is_file() else []
    folders = [path / "data", path]
    if name:
        # The subfolder goes first: its name tells the data set, which loose files beside it do not.
        folders = [path / name / "data", path / name, *folders]
        folders += [base / HUB[name].config for base in (path / name, path)]
    for folder in folders:
        files = files or sorted(file for file in folder.glob("*.parquet") if file.is_file())
    if not files:
        parent = f", or a folder that has one called {name}" if name else ""
        raise DataError(
            f"{where} holds no parquet files; give one, or a folder with data/train-*.parquet{parent}."
        )
    found = {existing(file, where): _split_of(file) for file in files}
    unnamed = [file.name for file, split in found.items() if split is None]
    if unnamed and len(unnamed) < len(files):
        raise DataError(
            f"{where} has a file {unnamed[0]} whose name tells no split; rename it like train-0.parquet."
        )
    shards: dict[str, list[Path]] = {}
    for file, split in found.items():
        shards.setdefault(split or "train", []).append(file)

    def read(split: str) -> RawSplit:
        table, label = _Table.of_files(shards[split], where), None
        if not labelled:
            return _pictures(table, where)
        if split != "train" and "train" in shards:
            # A split without labels may have another column of integers, which is no label.
            with suppress(DataError):
                label = _label_column(_Table.of_files(shards["train"], where), where)
            if label is not None and label not in table.kinds:
                raise UnlabelledError(f"there is no column {label}")
        # Without names, the classes go to the highest label of any split: all splits need the same outputs.
        others = (_Table.of_files(shards[other], where) for other in shards if other != split)
        return _from_table(table, where, others, label)

    return {split: partial(read, split) for split in ordered(shards)}


def _split_of(file: Path) -> str | None:
    """The split that a file's name tells, or ``None``."""
    match = _SHARD.match(file.stem) or _NAMED_SPLIT.match(file.stem)
    return match.group(1) if match else None


@dataclass(frozen=True)
class _Table:
    """A table of encoded images and labels.

    Attributes:
        kinds: the type of each column. The client of the hub writes its own types into the schema.
        names: of the classes, for each column of labels that has some.
        column: reads a column.
        cells: yields the cells of a column at rows (``int64[k]``, ascending).
        rows: their number.
    """

    kinds: dict[str, Any]
    names: dict[str, tuple[str, ...]]
    pictures: list[str]
    column: Callable[[str], list[Any]]
    cells: Callable[[str, np.ndarray], Iterator[Any]]
    rows: int

    @classmethod
    def of_files(cls, files: list[Path], where: str) -> "_Table":
        """The files of one split, in order; they are read some rows at a time."""
        import pyarrow.parquet as pq

        def column(name: str) -> list[Any]:
            with _reading(where):
                return [
                    cell
                    for file in files
                    for cell in pq.read_table(file, columns=[name]).column(name).to_pylist()
                ]

        def cells(name: str, rows: np.ndarray) -> Iterator[Any]:
            begin = 0
            for file in files:
                with _reading(where):
                    content = pq.ParquetFile(file)
                    sizes = [content.metadata.row_group(each).num_rows for each in range(content.num_row_groups)]
                for group, size in enumerate(sizes):
                    wanted = rows[(rows >= begin) & (rows < begin + size)] - begin
                    begin += size
                    yield from _picked(content, group, name, wanted, where) if len(wanted) else ()

        with _reading(where):
            schemas = [pq.read_schema(file) for file in files]
            rows = sum(pq.read_metadata(file).num_rows for file in files)
            if any(schema.names != schemas[0].names for schema in schemas):
                raise ValueError("their columns differ")
            return cls.of_schema(schemas[0], column, cells, rows)

    @classmethod
    def of_library(cls, table: Any) -> "_Table":
        """A table of the ``datasets`` library; encoded images stay encoded."""

        def column(name: str) -> list[Any]:
            return table.select_columns([name]).with_format("arrow")[:].column(name).to_pylist()

        def cells(name: str, rows: np.ndarray) -> Iterator[Any]:
            chosen = table.select_columns([name]).with_format("arrow").select(rows)
            for batch in chosen.iter(batch_size=_ROWS):
                yield from batch.column(name).to_pylist()

        return cls.of_schema(table.features.arrow_schema, column, cells, len(table))

    @classmethod
    def of_schema(cls, schema: Any, column: Any, cells: Any, rows: Any) -> "_Table":
        """Read the types of the columns: Arrow's, and those that the library notes beside them."""
        import pyarrow as pa

        notes = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        kinds = dict(zip(schema.names, schema.types, strict=True))
        noted = {name: notes.get(name) if isinstance(notes.get(name), dict) else {} for name in kinds}
        pictures = [
            name
            for name, kind in kinds.items()
            if noted[name].get("_type") == "Image"
            or (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)
        ]
        names = {name: tuple(note["names"]) for name, note in noted.items() if note.get("_type") == "ClassLabel"}
        return cls(kinds, names, pictures, column, cells, rows)


def _picked(content: Any, group: int, name: str, wanted: np.ndarray, where: str) -> Iterator[Any]:
    """The cells of one column and one group of rows at ``wanted``, ``int64[k]``, ascending."""
    begin = 0
    with _reading(where):
        for batch in content.iter_batches(_ROWS, row_groups=[group], columns=[name]):
            rows = wanted[(wanted >= begin) & (wanted < begin + len(batch))] - begin
            begin += len(batch)
            yield from batch.column(0).take(rows).to_pylist() if len(rows) else ()


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn every error of reading parquet files into one sentence."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{where} has parquet files that cannot be read ({reason(error)}); fetch or write them again."
        ) from error


@contextmanager
def _quiet() -> Iterator[Any]:
    """The ``datasets`` library without its log and progress bars. Its import takes a second."""
    import datasets
    import datasets.utils

    bars_shown = not datasets.utils.are_progress_bars_disabled()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    datasets.utils.disable_progress_bars()
    for logger in loggers:
        # Errors are raised; the log of retries and causes would only blur their sentence.
        logger.setLevel(logging.CRITICAL)
    try:
        yield datasets
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars_shown:
            datasets.utils.enable_progress_bars()


def _from_table(
    table: _Table, where: str, others: Iterable[_Table] = (), label_column: str | None = None
) -> RawSplit:
    """Find the columns of a table, check its labels and leave its images encoded."""
    unlabelled = _pictures(table, where)
    label_column = label_column or _label_column(table, where)
    names = table.names.get(label_column)
    labels = checked_labels(_values(table, label_column), None if names is None else len(names), where)
    if names is None:
        known = [labels]
        for other in others:
            if label_column in other.kinds:
                with suppress(UnlabelledError):
                    known.append(checked_labels(_values(other, label_column), None, where))
        names = numbered(known)
    return replace(unlabelled, labels=labels, classes=names)


def _pictures(table: _Table, where: str) -> RawSplit:
    """The images of a table, encoded, with label 0 each."""
    picture_column = chosen_column(
        table.pictures, table.pictures, _IMAGE_NAMES, table.kinds, f"{where} has no single column of images"
    )
    remarks: dict[str, None] = {}

    def parts(chosen: np.ndarray, form: Form, at_once: int) -> Iterator[np.ndarray]:
        pictures = decode(map(_encoded, table.cells(picture_column, chosen)), where, remarks)
        return picture_parts(pictures, len(chosen), form, at_once, where, remarks)

    return RawSplit(np.zeros(table.rows, np.int32), Unnamed.of(1), parts, remarks)


def _label_column(table: _Table, where: str) -> str:
    """The column of labels.

    Raises:
        UnlabelledError: no column could hold labels.
        DataError: several columns could, or one with a usual name holds something else.
    """
    import pyarrow as pa

    whole = [name for name, kind in table.kinds.items() if pa.types.is_integer(kind)]
    # A column of nothing has no type of its own; its labels are missing.
    empty = [name for name, kind in table.kinds.items() if pa.types.is_null(kind)]
    if not whole and not any(name in table.kinds for name in _LABEL_NAMES) and len(table.kinds) == 1:
        raise UnlabelledError("there is no column of labels")
    return chosen_column(
        list(table.names) or whole,
        [*table.names, *whole, *empty],
        _LABEL_NAMES,
        table.kinds,
        f"{where} has no single column of integer labels",
    )


def _values(table: _Table, name: str) -> np.ndarray:
    """A column of labels as an array ``[n]``; missing ones make it an array of objects."""
    values = table.column(name)
    return np.asarray(values) if values else np.zeros(0, np.int64)


def _encoded(cell: Any) -> bytes | None:
    """The bytes of a picture. A path in the table is not followed: data must not read files of this machine."""
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    return found if isinstance(found, bytes) else None
