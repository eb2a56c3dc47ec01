"""A store at any URL that fsspec knows; writing one object is atomic."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import fsspec
from fsspec.registry import known_implementations

from engine.errors import RunStoreError
from engine.stores.base import checked_name
from engine.stores.lease import Clock, Lease
from engine.stores.segments import SegmentedLog


class FsspecStore:
    """See :class:`engine.stores.base.RunStore`. Logs are kept in segments, and the lock is a lease.

    Raises:
        RunStoreError: the protocol is unknown, or a package is missing.
    """

    def __init__(self, url: str, clock: Clock | None = None):
        # Messages must not show a password.
        self.location = re.sub(r"://([^/@:]*):[^/@]*@", r"://\1:...@", url)
        if not self.location.endswith("://"):
            self.location = self.location.rstrip("/")
        self._clock = clock
        self._files, self._root = _connect(url, self.location)
        self._logs: dict[str, SegmentedLog] = {}

    def full_name(self, name: str) -> str:
        """See :class:`engine.stores.base.RunStore`."""
        return f"{self.location}/{checked_name(name)}"

    def check_place(self) -> None:
        """See :class:`engine.stores.base.RunStore`."""
        with self._explained(self.location):
            if self._files.isfile(self._root):
                raise RunStoreError(f"{self.location} is a file; name a new place for the run.")

    def read(self, name: str) -> bytes:
        """See :class:`engine.stores.base.RunStore`."""
        with self._explained(self.full_name(name), FileNotFoundError):
            return bytes(self._files.cat_file(self._key(name)))

    def write(self, name: str, content: bytes) -> None:
        """One PUT."""
        with self._explained(self.full_name(name)):
            self._files.pipe_file(self._key(name), content)

    def create(self, name: str, content: bytes) -> None:
        """Write a new object.

        Creation is exclusive on S3 and Google Cloud Storage; for other stores fsspec looks first and writes then.

        Raises:
            FileExistsError: the object exists.
        """
        with self._explained(self.full_name(name), FileExistsError):
            self._files.pipe_file(self._key(name), content, mode="create")

    def append(self, name: str, line: bytes) -> None:
        """See :class:`engine.stores.segments.SegmentedLog`."""
        self._log(name).append(line)

    def read_log(self, name: str) -> bytes:
        """See :class:`engine.stores.base.RunStore`."""
        return self._log(name).read()

    def cut_log(self, name: str, size: int) -> None:
        """See :class:`engine.stores.base.RunStore`."""
        self._log(name).cut(size)

    def names(self, folder: str) -> list[str]:
        """See :class:`engine.stores.base.RunStore`; ``""`` is the run itself."""
        place = self._key(folder) if folder else self._root
        with self._explained(self.full_name(folder) if folder else self.location):
            self._files.invalidate_cache()
            try:
                found = self._files.find(place, maxdepth=1)
            except FileNotFoundError:
                return []
        prefix = f"{folder}/" if folder else ""
        return sorted(prefix + str(path).rstrip("/").rpartition("/")[2] for path in found)

    def exists(self, name: str) -> bool:
        """See :class:`engine.stores.base.RunStore`."""
        with self._explained(self.full_name(name)):
            self._files.invalidate_cache()
            return bool(self._files.exists(self._key(name)))

    def remove(self, name: str) -> None:
        """See :class:`engine.stores.base.RunStore`."""
        with suppress(FileNotFoundError), self._explained(self.full_name(name), FileNotFoundError):
            self._files.rm_file(self._key(name))

    def remove_leftovers(self) -> None:
        """Remove objects of :meth:`age`; writing leaves none."""
        for name in self.names(""):
            if re.fullmatch(r"\.clock-[0-9a-f]{12}", name):
                self.remove(name)

    def age(self, name: str) -> float | None:
        """Seconds since an object was written, by the store's own clock; None if the store tells no times."""
        probe = f".clock-{secrets.token_hex(6)}"
        with self._explained(self.full_name(name), FileNotFoundError):
            try:
                written = self._files.modified(self._key(name))
                self._files.pipe_file(self._key(probe), b"")
                now = self._files.modified(self._key(probe))
            except (NotImplementedError, AttributeError, KeyError):
                return None
            finally:
                self.remove(probe)
            return float((now - written).total_seconds())

    def lock(self, warn: Callable[[str], None]) -> Lease:
        """See :mod:`engine.stores.lease`."""
        return Lease(self, self._clock)

    def _key(self, name: str) -> str:
        return f"{self._root}/{checked_name(name)}"

    def _log(self, name: str) -> SegmentedLog:
        return self._logs.setdefault(name, SegmentedLog(self, name))

    @contextmanager
    def _explained(self, what: str, *expected: type[Exception]) -> Iterator[None]:
        """Turn any error of the store's package into one sentence, except the expected errors."""
        passed: tuple[type[Exception], ...] = (RunStoreError, *expected)
        try:
            yield
        except passed:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
            raise RunStoreError(
                f"cannot read or write {what} ({reason}); check the URL, the credentials and the network and try "
                f"again ('evoprune resume {self.location}' continues a search; nothing that was saved is lost)."
            ) from error


def _connect(url: str, shown: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL, and the run's root in it."""
    protocol = url.partition("://")[0]
    if "::" in url:
        raise RunStoreError(f"{shown} chains several URLs; give the URL of one store, such as s3://BUCKET/RUN.")
    try:
        fsspec.get_filesystem_class(protocol)
        # The writes of another driver must be visible at once.
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        package = known_implementations.get(protocol, {}).get("class", "").partition(".")[0]
        missing = getattr(error.__cause__, "name", None) or error.name
        needed = package if package not in ("", "fsspec") else missing or protocol
        raise RunStoreError(
            f"{shown} needs the package {needed}, which is not installed; run 'pip install {needed}'."
        ) from error
    except Exception as error:
        if protocol not in known_implementations:
            raise RunStoreError(
                f"{shown} has the unknown protocol {protocol!r}; give a local path, or a URL such as "
                "s3://BUCKET/RUN, gs://BUCKET/RUN or memory://RUN."
            ) from error
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise RunStoreError(f"{shown} cannot be used ({reason}); check the URL and the credentials.") from error
    if not root.strip("/"):
        raise RunStoreError(f"{shown} names no place in the store; add one, as in s3://BUCKET/RUN.")
    return files, root.rstrip("/")
