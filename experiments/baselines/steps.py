"""Results of a long command's steps, kept on disk so that a kill costs one step at most."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import RunError
from engine.stores.atomic import make_folder, write_atomically

SUFFIX = ".partial"
_DESCRIPTION = "experiment.json"
_STEPS = "steps"


class Steps:
    """The steps of an experiment that fills a folder: the folder is the user's, and nothing in it is replaced.

    Args:
        folder: new, empty, or the folder of the same experiment with the same options, which is then continued.
            A folder in which no step was finished counts as empty.
        description: JSON that must be equal for the experiment to be continued.

    Raises:
        RunError: the folder holds something else.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]):
        self.folder = Path(folder)
        self.description = description
        if _holds(self.folder, description):
            return
        if not _unused(self.folder):
            if (self.folder / _DESCRIPTION).is_file():
                raise RunError(
                    f"{self.folder} holds another experiment, or this one with other options; "
                    "name a new directory."
                )
            raise RunError(f"{self.folder} is not empty; name a new directory.")
        _describe(self.folder, description)

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """The JSON that ``work`` returns, from the file of an earlier call if there is one.

        Raises:
            RunError: that file is damaged.
        """
        path = _path(self.folder, name)
        if not path.is_file():
            _write(path, work())
        # The file of this call is read back too, so that first and continued runs agree: JSON has no tuples.
        return self._read(path)

    def finished(self, kind: str) -> list[Any]:
        """The results of all finished steps ``KIND/...``, of this call or earlier ones, in order of names.

        Raises:
            RunError: the file of a step is damaged.
        """
        return [self._read(path) for path in sorted((self.folder / _STEPS / kind).glob("*.json"))]

    def _read(self, path: Path) -> Any:
        try:
            return _read(path)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged ({error}); remove it to run that step again.") from error


class TemporarySteps:
    """The steps of a command that writes its output at the end: kept in ``OUT.partial`` until then.

    Results of other options, and damaged results, are computed again.

    Args:
        output: the file or folder that the command writes; None keeps nothing.
        description: JSON that decides the results of all steps.
    """

    def __init__(self, output: Path | None, description: Mapping[str, Any]):
        self._folder = None if output is None else output.with_name(output.name + SUFFIX)
        self._description = description

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """The JSON that ``work`` returns, from the file of an earlier call if there is a usable one."""
        if self._folder is None:
            return work()
        path = _path(self._folder, name)
        usable = _holds(self._folder, self._description)
        if usable and path.is_file():
            try:
                return _read(path)
            except (ValueError, RecursionError):
                pass
        result = work()
        # The folder is made after the first step, so that a command that is refused leaves nothing behind.
        if not usable:
            self.remove()
            _describe(self._folder, self._description)
        _write(path, result)
        return result

    def remove(self) -> None:
        """Remove all results; the command calls this when its output is written."""
        if self._folder is not None and self._folder.is_dir():
            shutil.rmtree(self._folder)


def _path(folder: Path, name: str) -> Path:
    return folder / _STEPS / f"{name}.json"


def _holds(folder: Path, description: Mapping[str, Any]) -> bool:
    """Whether the folder is of an experiment with this description."""
    try:
        # Through JSON, which has no tuples.
        return bool(_read(folder / _DESCRIPTION) == json.loads(json.dumps(description)))
    except (FileNotFoundError, ValueError, RecursionError):
        return False


def _unused(folder: Path) -> bool:
    """Whether the folder is new or empty, or all that an experiment left that failed before its first step."""
    if not folder.exists():
        return True
    steps = folder / _STEPS
    left = [folder / _DESCRIPTION, steps] if steps.is_dir() else []
    return folder.is_dir() and all(path in left for path in folder.rglob("*"))


def _describe(folder: Path, description: Mapping[str, Any]) -> None:
    make_folder(folder / _STEPS)
    write_atomically(folder / _DESCRIPTION, json.dumps(description, indent=2).encode() + b"\n")


def _write(path: Path, result: Any) -> None:
    make_folder(path.parent)
    write_atomically(path, json.dumps(result, indent=2).encode() + b"\n")


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
