"""Results of a long command's parts, kept beside its output until that is there: a kill costs one part."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.atomic import make_folder, write_atomically

SUFFIX = ".partial"


class KeptResults:
    """Parts by name, in a folder ``OUT.partial`` of their own; without an output nothing is kept.

    Args:
        output: what the command writes in the end.
        identity: all that decides what the parts come to, as JSON; what was kept for any other is made anew.
    """

    def __init__(self, output: Path | None, identity: Mapping[str, Any]):
        self._folder = None if output is None else output.with_name(output.name + SUFFIX)
        self._identity = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """What ``work`` returns (JSON), or returned when the command last came this far."""
        if self._folder is None:
            return work()
        path = self._folder / f"{name}.json"
        kept = _read(path)
        if kept is None or kept.get("identity") != self._identity:
            kept = {"identity": self._identity, "result": work()}
            # Not before: what cannot be done leaves nothing behind.
            make_folder(path.parent)
            write_atomically(path, json.dumps(kept).encode())
        return kept["result"]

    def remove(self) -> None:
        """Once the output is there."""
        if self._folder is not None and self._folder.is_dir():
            shutil.rmtree(self._folder)


def _read(path: Path) -> dict[str, Any] | None:
    """None for what is not there, or is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) and "result" in kept else None
