"""The lock of a run on a store without locks: an object that its owner renews, and that a dead one does not.

Clocks of two machines are never compared. How long ago a lease was renewed is told by the store's own clock
(the time it gives the lease against the time it gives an object written now); where a store tells no times,
whoever wants the run watches the lease for the whole expiry with their own monotonic clock. Owners judge
themselves by their monotonic clock too.

An owner that is only slow can lose its lease, so it looks before each write (:meth:`Lease.check`). Between
look and write a moment is left that no store without transactions closes; ``docs/run-directories.md`` says
what a write in it can do.
"""

import contextlib
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from engine.errors import RunError, RunStoreError
from engine.lease_content import described, lease_content, owner_of

LEASE = "lease.json"
RENEWAL = 10.0
"""Seconds between two renewals."""
EXPIRY = 60.0
"""Seconds without renewal after which another process may take the run over."""


class LeaseStore(Protocol):
    """The part of a store that a lease is kept with."""

    location: str

    def read(self, name: str) -> bytes:
        """An object's content, or FileNotFoundError."""
        ...

    def create(self, name: str, content: bytes) -> None:
        """Write an object that is not there, or FileExistsError."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace an object."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        ...

    def age(self, name: str) -> float | None:
        """Seconds since an object was written, by the store's own clock; None where it tells no times."""
        ...


def _seconds() -> float:
    """Monotonic, and going on while the machine sleeps where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Clock:
    """Monotonic seconds, and a way to let them pass."""

    now: Callable[[], float] = _seconds
    wait: Callable[[float], None] = time.sleep


class Lease:
    """Held within ``with``; see :class:`engine.store.Hold`."""

    def __init__(self, store: LeaseStore, clock: Clock | None = None, *, renew_by_itself: bool = True):
        self._store = store
        self._clock = clock or Clock()
        self._owner = secrets.token_hex(16)
        self._renewals = 0
        self._renewed = -math.inf
        self._late = False
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_on_and_on, daemon=True) if renew_by_itself else None

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
            # A store that cannot be reached keeps the lease until it expires, which is what expiry is for.
            if self._is_mine(self._read()):
                self._store.remove(LEASE)

    def check(self) -> None:
        """Make sure that the lease is still this process's, and fresh.

        Raises:
            RunError: another process has it.
            RunStoreError: the store cannot be asked.
        """
        with self._mutex:
            self._check_mine()
            if self._clock.now() - self._renewed > EXPIRY / 2:
                # The machine slept, or the store was out of reach: somebody may be about to take over.
                self._renew_mine()
                self._check_mine()

    def renew(self) -> None:
        """Say that this process is alive, unless the lease has passed to another.

        Raises:
            RunStoreError: the store cannot be reached.
        """
        with self._mutex:
            if not self._ended.is_set():
                self._renew_mine()

    def _renew_on_and_on(self) -> None:
        while not self._ended.wait(RENEWAL):
            # The next turn may reach the store; if none does, ``check`` says so where the search can hear it.
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
        # Ask in any case: a request that was repeated finds its own first try in its way, and a store that
        # cannot create exclusively lets two of us write.
        latest = self._read()
        if not self._is_mine(latest):
            raise self._busy(latest, EXPIRY)

    def _outlive(self, found: bytes) -> None:
        """Return once the lease has expired.

        Raises:
            RunError: its owner is, or may be, alive.
        """
        try:
            age = self._store.age(LEASE)
        except FileNotFoundError:
            # Given back a moment ago.
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
        # Somebody else's lease may have been overwritten. They will stop, and so must this one.
        self._late = self._late or self._clock.now() - began > EXPIRY / 2

    def _is_mine(self, found: bytes | None) -> bool:
        return found is not None and owner_of(found) == self._owner
