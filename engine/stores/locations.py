"""The store of a location, which is a path or a URL."""

import os
import re
from pathlib import Path

from engine.errors import RunStoreError
from engine.stores.base import RunStore
from engine.stores.local import LocalStore

_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)(://|::)")
_SQUEEZED = re.compile(r"(s3|s3a|gs|gcs|memory|abfs|az|file|local):/?[^/]")


def is_url(location: str | os.PathLike[str]) -> bool:
    """Whether a location is a URL rather than a path."""
    return _URL.match(os.fspath(location)) is not None


def check_path(text: str) -> None:
    """Refuse a path that is empty, or that another program would not read as a path.

    Raises:
        RunStoreError: it is one.
    """
    if not text:
        raise RunStoreError("the name of a directory is empty; give a path.")
    if _SQUEEZED.match(text):
        # As pathlib makes of a URL.
        raise RunStoreError(f"{text} is neither a path nor a URL; give a URL as s3://BUCKET/RUN, or ./{text}.")
    if text.split("/")[0].startswith("~"):
        raise RunStoreError(f"{text} begins with ~, which no shell replaced; give the whole path or ./{text}.")


def open_store(location: str | os.PathLike[str]) -> RunStore:
    """The store of a location; nothing is read or written yet.

    Raises:
        RunStoreError: the URL cannot be used.
    """
    text = os.fspath(location)
    match = _URL.match(text)
    if match is None:
        check_path(text)
        return LocalStore(Path(text))
    if match["protocol"] in ("file", "local") and match[2] == "://":
        path = text[match.end() :]
        if not path.startswith("/"):
            raise RunStoreError(f"{text} names another machine; give a path, or file:///PATH.")
        return LocalStore(Path(path))
    # fsspec takes a moment to import, and local runs do not need it.
    from engine.stores.remote import FsspecStore

    return FsspecStore(text)
