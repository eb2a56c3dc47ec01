"""A log on a store that can only replace whole objects: a series of segments, of which the last one grows.

Each line rewrites the last segment, which costs at most ``LIMIT`` bytes however long the log is: 10,000 rows of
600 bytes write 1.3 GB, while rewriting the whole log each time would write 30 GB. One object for each line would
write less, but would be slow to read or need compaction; segments need none. The first segment has the log's own
name, so a run of a few hundred generations looks as it does on a disk.
"""

import re
from typing import Protocol

LIMIT = 256 * 1024


class Objects(Protocol):
    """The operations of a store that segments need."""

    def read(self, name: str) -> bytes:
        """The content of an object; raises FileNotFoundError if there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace an object."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder; ``""`` is the run itself."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object if it exists."""
        ...


class SegmentedLog:
    """``journal.jsonl``, ``journal.000001.jsonl``, ``journal.000002.jsonl``, ..."""

    def __init__(self, objects: Objects, name: str, limit: int | None = None):
        self._objects = objects
        self._name = name
        self._limit = LIMIT if limit is None else limit
        self._stem, _, self._suffix = name.rpartition(".")
        self._later = re.compile(rf"{re.escape(self._stem)}\.(\d{{6}})\.{re.escape(self._suffix)}")
        self._last: tuple[int, bytes] | None = None

    def read(self) -> bytes:
        """The whole log."""
        return b"".join(self._read(number) for number in self._numbers())

    def append(self, line: bytes) -> None:
        """Append a line by one write: of the last segment, or of a new segment."""
        number, content = self._last or self._find_last()
        if content and len(content) + len(line) > self._limit:
            number, content = number + 1, b""
        # After a failed write the content of the store is unknown.
        self._last = None
        self._objects.write(self._segment(number), content + line)
        self._last = (number, content + line)

    def cut(self, size: int) -> None:
        """Keep the first ``size`` bytes. At every moment the store holds a prefix of the log."""
        self._last = None
        kept: list[tuple[int, bytes]] = []
        for number in self._numbers():
            content = self._read(number)
            kept.append((number, content[:size]))
            size -= min(size, len(content))
        while len(kept) > 1 and not kept[-1][1]:
            self._objects.remove(self._segment(kept.pop()[0]))
        for number, content in kept[-1:]:
            self._objects.write(self._segment(number), content)

    def _find_last(self) -> tuple[int, bytes]:
        numbers = self._numbers()
        return (numbers[-1], self._read(numbers[-1])) if numbers else (0, b"")

    def _numbers(self) -> list[int]:
        found = []
        for name in self._objects.names(""):
            if name == self._name:
                found.append(0)
            elif match := self._later.fullmatch(name):
                found.append(int(match[1]))
        return sorted(found)

    def _read(self, number: int) -> bytes:
        try:
            return self._objects.read(self._segment(number))
        except FileNotFoundError:
            # Another process may read while the driver cuts the log.
            return b""

    def _segment(self, number: int) -> str:
        return f"{self._stem}.{number:06d}.{self._suffix}" if number else self._name
