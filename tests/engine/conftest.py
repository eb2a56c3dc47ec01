"""Fixtures for stores: a local folder, and fsspec's memory."""

import secrets
from pathlib import Path

import fsspec
import pytest

from engine.stores.locations import open_store


@pytest.fixture(params=["local", "memory"])
def location(request, tmp_path):
    if request.param == "local":
        yield str(tmp_path / "run")
        return
    url = f"memory://{secrets.token_hex(8)}/run"
    yield url
    memory = fsspec.filesystem("memory")
    if memory.exists(url):
        memory.rm(url, recursive=True)


@pytest.fixture
def store(location):
    return open_store(location)


@pytest.fixture
def put(store):
    """Write a file past the store, without syncing."""

    def put(name, content):
        if "://" in store.location:
            fsspec.filesystem("memory").pipe_file(store.full_name(name), content)
        else:
            path = Path(store.full_name(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return put
