"""The lock of a run on a store without locks: a lease object that a living owner renews.

Clocks of two machines are never compared. The age of a lease is the difference between two times of the store's
own clock: that of the lease, and that of an object written now. If a store tells no times, a newcomer watches the
lease for the whole expiry by its own monotonic clock. An owner judges itself by its monotonic clock too.

A slow owner can lose its lease, so it checks the lease before each write (:meth:`Lease.check`). Between check and
write remains a gap that only a store with transactions could close; ``docs/run-directories.md`` says what a write
in this gap can do.

A lease holds the random name of its owner and, for people, the host, the process and the time of renewal.
"""

import contextlib
import json
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from engine.errors import RunError, RunStoreError

LEASE = "lease.json"
RENEWAL = 10.0
"""Seconds between two renewals."""
EXPIRY = 60.0
"""Seconds without renewal after which another process may take the run over."""


class LeaseStore(Protocol):
    """The operations of a store that a lease needs."""

    location: str

    def read(self, name: str) -> bytes:
        """The content of an object; raises FileNotFoundError if there is none."""
        ...

    def create(self, name: str, content: bytes) -> None:
        """Write a new object; raises FileExistsError if the object exists."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace an object."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object if it exists."""
        ...

    def age(self, name: str) -> float | None:
        """Seconds since an object was written, by the store's own clock; None if the store tells no times."""
        ...


def _seconds() -> float:
    """Monotonic seconds. If the system has such a clock, they go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Clock:
    """A monotonic clock in seconds, and a way to wait; tests replace both."""

    now: Callable[[], float] = _seconds
    wait: Callable[[float], None] = time.sleep


class Lease:
    """A lease held within a ``with`` block; see :class:`engine.stores.base.Hold`."""

    def __init__(self, store: LeaseStore, clock: Clock | None = None, *, renew_by_itself: bool = True):
        self._store = store
        self._clock = clock or Clock()
        self._owner = secrets.token_hex(16)
        self._renewals = 0
        self._renewed = -math.inf
        self._late = False
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_forever, daemon=True) if renew_by_itself else None

    def __enter__(self) -> "Lease":
        self._acquire()
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._mutex, contextlib.suppress(RunStoreError):
            # If the store cannot be reached, the lease expires.
            if self._is_mine(self._read()):
                self._store.remove(LEASE)

    def check(self) -> None:
        """Make sure that this process still holds a fresh lease.

        Raises:
            RunError: this process may have lost the lease.
            RunStoreError: the store cannot be reached.
        """
        with self._mutex:
            self._check_mine()
            if self._clock.now() - self._renewed > EXPIRY / 2:
                # The machine slept, or the store was out of reach: another process may be about to take over.
                self._renew_mine()
                self._check_mine()

    def renew(self) -> None:
        """Renew the lease, unless another process has taken it over.

        Raises:
            RunStoreError: the store cannot be reached.
        """
        with self._mutex:
            if not self._ended.is_set():
                self._renew_mine()

    def _renew_forever(self) -> None:
        while not self._ended.wait(RENEWAL):
            # The next turn may reach the store. If none does, ``check`` raises in the search's own thread.
            with contextlib.suppress(RunStoreError):
                self.renew()

    def _acquire(self) -> None:
        found = self._read()
        if found is not None:
            self._outlive(found)
            latest = self._read()
            if latest == found:
                self._store.remove(LEASE)
            elif latest is not None:
                raise self._busy(latest, EXPIRY)
        self._renewed = self._clock.now()
        with contextlib.suppress(FileExistsError):
            self._store.create(LEASE, lease_content(self._owner, self._renewals, EXPIRY))
        # Read in any case: a repeated request fails because of its own first try, and a store without exclusive
        # creation lets two processes write.
        latest = self._read()
        if not self._is_mine(latest):
            raise self._busy(latest, EXPIRY)

    def _outlive(self, found: bytes) -> None:
        """Return once the lease has expired.

        Raises:
            RunError: the owner is alive, or may be.
        """
        try:
            age = self._store.age(LEASE)
        except FileNotFoundError:
            # The owner has just released the lease.
            return
        if age is not None:
            if age < EXPIRY:
                raise self._busy(found, EXPIRY - age)
            return
        began = self._clock.now()
        while self._clock.now() - began < EXPIRY:
            self._clock.wait(RENEWAL / 2)
            latest = self._read()
            if latest is None:
                return
            if latest != found:
                raise self._busy(latest, EXPIRY)

    def _check_mine(self) -> None:
        location = self._store.location
        if self._late:
            raise RunError(
                f"renewing the lease on {location} took so long that another process may have begun, so nothing "
                f"more was written; run 'evoprune resume {location}'."
            )
        found = self._read()
        if self._is_mine(found):
            return
        if found is None:
            raise RunError(
                f"the lease on {location} was removed while this process held it, so nothing more was written; "
                f"make sure that no other process works on it and run 'evoprune resume {location}'."
            )
        raise RunError(
            f"{described(found)} has taken over {location}, because this one did not renew its lease for "
            f"{EXPIRY:.0f} s, and nothing more was written here; let that one finish, or stop it and run "
            f"'evoprune resume {location}'."
        )

    def _busy(self, found: bytes | None, left: float) -> RunError:
        return RunError(
            f"{described(found)} is at work on {self._store.location}; wait for it or stop it first, and if it "
            f"is dead already, try again in {max(1, math.ceil(left))} s, when its lease can be taken over."
        )

    def _read(self) -> bytes | None:
        try:
            return self._store.read(LEASE)
        except FileNotFoundError:
            return None

    def _renew_mine(self) -> None:
        began = self._clock.now()
        if not self._is_mine(self._read()) or self._clock.now() - began > EXPIRY / 2:
            return
        self._renewals += 1
        self._store.write(LEASE, lease_content(self._owner, self._renewals, EXPIRY))
        self._renewed = began
        # This write may have overwritten the lease of another process. That process will stop, and so must this
        # one.
        self._late = self._late or self._clock.now() - began > EXPIRY / 2

    def _is_mine(self, found: bytes | None) -> bool:
        return found is not None and owner_of(found) == self._owner


def lease_content(owner: str, renewals: int, expiry: float) -> bytes:
    """The content of this process's lease; each renewal changes it."""
    entry = {
        "owner": owner,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "renewals": renewals,
        # For people; never compared.
        "renewed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "expires_after_seconds": expiry,
    }
    return (json.dumps(entry, indent=2) + "\n").encode()


def owner_of(content: bytes) -> Any:
    """The owner of a lease; None if the lease is damaged."""
    return _entry(content).get("owner")


def described(content: bytes | None) -> str:
    """The owner of a lease, for messages."""
    entry = _entry(content or b"")
    pid, host = entry.get("pid"), entry.get("host")
    if not isinstance(pid, int) or not isinstance(host, str):
        return "another process"
    # The text of a file goes to a terminal: no control characters.
    shown = "".join(letter for letter in host if letter.isprintable())[:60]
    return f"another process ({pid} on {shown})"


def _entry(content: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
