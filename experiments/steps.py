"""Long experiments in steps: what a finished step returned is kept, so that a kill costs one step at most."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.atomic import make_folder, write_atomically
from engine.errors import RunError

_DESCRIPTION = "experiment.json"


class Steps:
    """The steps of one experiment in one folder.

    Args:
        folder: new, empty, or that of the same experiment with the same options, which is then continued.
        description: what must be equal for the experiment to be continued; JSON.

    Raises:
        RunError: the folder holds something else.
    """

    def __init__(self, folder: Path, description: dict[str, Any]):
        self.folder = Path(folder)
        self.description = description
        path = self.folder / _DESCRIPTION
        if path.is_file():
            try:
                same = json.loads(path.read_text(encoding="utf-8")) == description
            except (ValueError, RecursionError):
                same = False
            if not same:
                raise RunError(
                    f"{self.folder} holds another experiment, or this one with other options; "
                    "name a new directory."
                )
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise RunError(f"{self.folder} is not empty; name a new directory.")
        else:
            make_folder(self.folder / "steps")
            write_atomically(path, json.dumps(description, indent=2).encode() + b"\n")

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """What ``work`` returns (JSON), from the file of an earlier call where there is one.

        Raises:
            RunError: that file is damaged.
        """
        path = self._path(name)
        if not path.is_file():
            make_folder(path.parent)
            write_atomically(path, json.dumps(work(), indent=2).encode() + b"\n")
        # What was just written too, so that a first and a continued run see the same: JSON has no tuples.
        return _read(path)

    def finished(self, kind: str) -> list[Any]:
        """What the steps ``KIND/...`` returned that were finished, in this call or an earlier one, by name.

        Raises:
            RunError: the file of one is damaged.
        """
        return [_read(path) for path in sorted((self.folder / "steps" / kind).glob("*.json"))]

    def _path(self, name: str) -> Path:
        return self.folder / "steps" / f"{name}.json"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it to run that step again.") from error
