"""Carries of earlier masks, kept within a limit of memory for their offspring.

An offspring has the carries of a parent up to the first stage in which they differ. A carry that is kept is the
one that would be computed again, to the bit, so counts do not depend on what is kept.

Carries are kept behind stages that make them smaller, as a pool does: there they save most for a byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax

KEPT_BYTES = 1 << 30
"""Limit for each process of a search, if not given."""


class _Rank(NamedTuple):
    """The lowest goes first. ``recent``: of this call or the last. ``wanted``: of more than one call."""

    recent: bool
    wanted: bool
    smallness: int


@dataclass
class _Entry:
    carries: Sequence[jax.Array]
    bytes: int
    asked: int
    """The last call that asked for the carries."""
    calls: int = 1
    """How many calls did."""


class Shelf:
    """The carries of a few batches. Its limit is set by :class:`KeptCarries`."""

    def __init__(self, images: int):
        self.images = images
        self._limit = 0
        self._entries: dict[bytes, _Entry] = {}
        self._bytes = 0
        self._call = 0

    def begin(self) -> None:
        """A call begins: some masks, which are the offspring of those of earlier calls."""
        self._call += 1

    def limit_to(self, limit: int) -> None:
        """Hold at most so many bytes, now and later."""
        self._limit = limit
        self._shrink_to(limit)

    def ask(self, key: bytes) -> Sequence[jax.Array] | None:
        """The carries of a run, one a batch; None if they are not kept."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.asked < self._call:
            entry.asked, entry.calls = self._call, entry.calls + 1
        return entry.carries

    def offer(self, key: bytes, carries: Sequence[jax.Array]) -> None:
        """Keep the carries of a run, if there is room or if others are worth less."""
        entry = _Entry(tuple(carries), sum(carry.nbytes for carry in carries), self._call)
        if entry.bytes > self._limit:
            return
        rank = self._rank(entry)
        worth_less = sum(each.bytes for each in self._entries.values() if self._rank(each) < rank)
        if self._bytes - worth_less + entry.bytes > self._limit:
            return
        self._shrink_to(self._limit - entry.bytes)
        self._entries[key] = entry
        self._bytes += entry.bytes

    def _rank(self, entry: _Entry) -> _Rank:
        return _Rank(entry.asked >= self._call - 1, entry.calls > 1, -entry.bytes)

    def _shrink_to(self, limit: int) -> None:
        if self._bytes <= limit:
            return
        for key, entry in sorted(self._entries.items(), key=lambda item: self._rank(item[1])):
            if self._bytes <= limit:
                break
            del self._entries[key]
            self._bytes -= entry.bytes


class KeptCarries:
    """A shelf for each few batches. They divide the limit by their images."""

    def __init__(self, limit: int):
        """``limit``: bytes of all carries together."""
        self._limit = limit
        self._shelves: dict[tuple[int, int], Shelf] = {}

    def shelf(self, shard: int, part: int, images: int) -> Shelf:
        """The shelf of part ``part`` of a shard, which has so many images."""
        place = shard, part
        if place not in self._shelves:
            self._shelves[place] = Shelf(images)
            total = sum(shelf.images for shelf in self._shelves.values())
            for shelf in self._shelves.values():
                shelf.limit_to(self._limit * shelf.images // total)
        return self._shelves[place]
