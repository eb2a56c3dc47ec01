"""Output directories: complete or not at all, and nobody else's file is touched."""

import os
import stat

import pytest

from models.errors import StoreError
from models.output_directory import write

FILES = {"weights": b"1", "model": b"2"}


class RefusedError(Exception):
    pass


def refuse(_):
    raise RefusedError


@pytest.fixture(params=["new", "empty"])
def directory(request, tmp_path):
    if request.param == "empty":
        (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_refused_directory_leaves_nothing(directory, tmp_path):
    there = sorted(tmp_path.iterdir())
    with pytest.raises(RefusedError):
        write(directory, FILES, refuse)
    assert sorted(tmp_path.iterdir()) == there
    assert not directory.exists() or not list(directory.iterdir())


def test_a_writer_that_comes_second_takes_nothing_from_the_first(directory, tmp_path):
    # The check of the second is the moment in which the first finishes.
    with pytest.raises((OSError, StoreError)):
        write(directory, FILES, lambda _: write(directory, {"weights": b"other", "model": b"other"}))
    if directory.exists():
        left = {path.name: path.read_bytes() for path in directory.iterdir()}
        assert left in ({}, {"weights": b"other", "model": b"other"})


def test_files_that_another_process_makes_meanwhile_stay(tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    content = {name: name.encode() for name in FILES}

    class Files(dict):
        def items(self):
            # Another process fills the directory once it was seen empty.
            for name, text in content.items():
                (directory / name).write_bytes(text)
            return super().items()

    with pytest.raises(FileExistsError):
        write(directory, Files(FILES))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == content


def test_the_mode_of_a_new_directory_is_that_of_any_other(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "out", FILES)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
