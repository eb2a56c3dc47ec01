"""Ray's files go to a folder that can hold them, and nothing of them stays."""

import os
import shutil
import socket
import stat
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster import ray_folder as subject
from engine.cluster.ray_folder import ray_folder
from engine.errors import BackendError

LIMIT = 107
"""Bytes in the path of a Unix socket on Linux."""


@pytest.fixture
def told(monkeypatch):
    for name in subject.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return []


@pytest.fixture
def short(told, monkeypatch):
    """A folder with a short name, in the place of those that every machine has."""
    folder = Path("/tmp") / f"e{os.getpid()}"
    folder.mkdir()
    monkeypatch.setattr(subject, "ELSEWHERE", (str(folder),))
    yield folder
    shutil.rmtree(folder)


def test_the_folder_is_private_and_is_removed(told, short):
    with ray_folder(told.append) as folder:
        assert Path(folder).parent == short
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        (Path(folder) / "session").mkdir()
    assert list(short.iterdir()) == []
    assert told == []


@pytest.mark.parametrize("name", subject.VARIABLES)
def test_a_variable_is_followed(told, short, monkeypatch, name):
    named = short / "named"
    named.mkdir()
    monkeypatch.setenv(name, str(named))
    with ray_folder(told.append) as folder:
        assert Path(folder).parent == named
    assert told == []


@pytest.mark.parametrize("name", subject.VARIABLES)
@pytest.mark.parametrize(
    "value", ["/proc", "/no/such/folder", "/dev/null", "/tmp/" + "a" * 60, "/tmp/" + "é" * 20]
)
def test_a_folder_that_cannot_hold_the_files_is_named_and_another_taken(told, short, monkeypatch, name, value):
    made = value.startswith("/tmp/")
    if made:
        Path(value).mkdir(exist_ok=True)
    monkeypatch.setenv(name, value)
    try:
        with ray_folder(told.append) as folder:
            assert Path(folder).parent == short
        [sentence] = told
        assert f"{name}={value}: " in sentence
        assert not made or list(Path(value).iterdir()) == []
    finally:
        if made:
            Path(value).rmdir()


@given(length=st.integers(1, 120))
def test_a_folder_is_taken_only_if_rays_sockets_fit(length):
    """A folder of the length is no longer than what the kernel takes for Ray's own path below it."""
    parent = Path("/tmp") / f"f{os.getpid()}{'a' * length}"
    parent.mkdir()
    try:
        try:
            folder = subject._made_in(str(parent))
        except OSError as error:
            # Any other error is not expected here.
            if "too long" not in str(error):
                raise
            assert len(str(parent)) + len("/ray-12345678/") + len(subject._LONGEST) > LIMIT
            return
        path = Path(folder) / subject._LONGEST
        path.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    finally:
        shutil.rmtree(parent)


def test_a_full_disk_is_no_place(told, short, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(subject.shutil, "disk_usage", lambda path: usage(1, 1, 0))
    with (
        pytest.raises(BackendError, match=r"no folder .*less than 64 MB are free.*set RAY_TMPDIR to"),
        ray_folder(told.append),
    ):
        raise AssertionError
    assert list(short.iterdir()) == []


def test_a_relative_name_is_taken_from_the_current_folder(told, short, monkeypatch):
    (short / "here").mkdir()
    monkeypatch.chdir(short)
    monkeypatch.setenv("TMPDIR", "here")
    with ray_folder(told.append) as folder:
        assert Path(folder).is_absolute()
        assert Path(folder).parent == short / "here"
