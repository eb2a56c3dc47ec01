"""Names of classes as a user gives them: joined by commas, or in a file as other software writes such files."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import OptionError
from experiments.data.sources.pictures import reason, shown

_MOST_BYTES = 1 << 24
_REMEDY = "write one name a line, in the order of the outputs, or a JSON list"


class ClassList(NamedTuple):
    """Names in the order of the outputs; ``assumed``: which of several names was taken, or empty."""

    names: tuple[str, ...]
    assumed: str = ""


def class_list(value: str) -> ClassList:
    """The names that the value of ``classes`` gives; none spans several lines.

    The value is a file, or else names joined by commas. A file holds a name a line; or JSON: a list of names, an
    object ``{"0": name, ...}``, alone or under ``id2label`` as Hugging Face has it, or an object
    ``{name: number, ...}``, the ``class_to_idx`` of torchvision. In place of a name may stand a list of names, as
    in Keras's index of ImageNet: the first, by which folders of images are called, is taken.

    Raises:
        OptionError: the file cannot be read or has another form; a name is empty or has a line break.
    """
    found = _found(value)
    for name in found.names:
        if len(name.splitlines()) > 1:
            raise OptionError(
                f"`classes` has a line break in the name {name!r}; join the names by commas, or give a file with "
                "one name a line."
            )
    return found


def _found(value: str) -> ClassList:
    try:
        is_file = Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        # Many names are too long to be the name of a file.
        is_file = False
    if is_file:
        return _from_file(Path(value).expanduser())
    if "," not in value:
        raise OptionError(
            f"`classes` {value!r} is no file, nor names joined by commas; give a file with one name a line, or "
            "name all classes."
        )
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise OptionError(f"`classes` {value!r} has an empty name; join the names by single commas.")
    return ClassList(names)


def _from_file(path: Path) -> ClassList:
    where = f"`classes` {shown(path)}"
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it is larger than 16 MiB")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError(f"{where} is no text in UTF-8; {_REMEDY}.") from error
    except (OSError, ValueError) as error:
        raise OptionError(f"{where} cannot be read ({shown(reason(error))}); {_REMEDY}.") from error
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{where} is not JSON ({reason(error)}); {_REMEDY}.") from error
        return _from_json(found, where)
    lines = re.split(r"\r\n|[\r\n]", text.rstrip()) if text.strip() else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise OptionError(f"{where} has no name in line {number}; {_REMEDY}.")
    if not lines:
        raise OptionError(f"{where} is empty; {_REMEDY}.")
    return ClassList(tuple(line.strip() for line in lines))


def _from_json(found: Any, where: str) -> ClassList:
    if isinstance(found, dict):
        found = found.get("id2label", found)
    entries = found if isinstance(found, list) else _in_order(found, where)
    firsts = [entry[0] if isinstance(entry, list) and entry else entry for entry in entries]
    for number, name in enumerate(firsts):
        if not isinstance(name, str) or not name.strip():
            raise OptionError(f"{where} has no name for output {number}; {_REMEDY}.")
    if not firsts:
        raise OptionError(f"{where} is empty; {_REMEDY}.")
    several = any(isinstance(entry, list) and len(entry) > 1 for entry in entries)
    assumed = f"of several names of a class in {where}, the first is taken, as {firsts[0]}" if several else ""
    return ClassList(tuple(name.strip() for name in firsts), assumed)


def _in_order(found: Any, where: str) -> list[Any]:
    """The names in an object, by the numbers of outputs that are its keys or its values."""
    fault = OptionError(f"{where} does not give each number from 0 on one name; {_REMEDY}.")
    if not isinstance(found, dict):
        raise fault
    if found and all(type(value) is int for value in found.values()):
        if len(set(found.values())) < len(found):
            raise fault
        found = {str(number): name for name, number in found.items()}
    try:
        return [found[str(number)] for number in range(len(found))]
    except KeyError:
        raise fault from None
