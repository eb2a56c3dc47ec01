"""The store of a location, which is a path or a URL."""

import os
import re
from pathlib import Path

from engine.errors import RunStoreError
from engine.stores.base import RunStore
from engine.stores.local import LocalStore

_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)(://|::)")
_SQUEEZED = re.compile(r"(s3|s3a|gs|gcs|memory|abfs|az|file|local):/[^/]")


def is_url(location: str | os.PathLike[str]) -> bool:
    """Whether a location is a URL rather than a path."""
    return _URL.match(os.fspath(location)) is not None


def open_store(location: str | os.PathLike[str]) -> RunStore:
    """The store of a location; nothing is read or written yet.

    Raises:
        RunStoreError: the URL cannot be used.
    """
    text = os.fspath(location)
    if isinstance(location, os.PathLike) and _SQUEEZED.match(text):
        # pathlib has collapsed two slashes into one.
        raise RunStoreError(f"{text} is a URL in a Path; give it as a str.")
    match = _URL.match(text)
    if match is None:
        return LocalStore(Path(text))
    if match["protocol"] in ("file", "local") and match[2] == "://":
        return LocalStore(Path(text[match.end() :]))
    # fsspec takes a moment to import, and local runs do not need it.
    from engine.stores.remote import FsspecStore

    return FsspecStore(text)
