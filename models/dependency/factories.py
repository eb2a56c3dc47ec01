"""The user's own modules. Their code runs only because the user named it; nothing read from a file does that."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from models.errors import ArchitectureError, FactoryError

_FACTORIES: dict[str, Callable[..., Any]] = {}


def load(name: str) -> None:
    """Import ``package.module:factory``, which may then be named by architectures of this process.

    Raises:
        ArchitectureError: no such module or function, or its import fails.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute.isidentifier()):
        raise ArchitectureError(f"--model-class must be package.module:factory, not {name!r}.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    # Whatever the user's code raises is theirs to mend; they are told what it said.
    except Exception as error:
        raise ArchitectureError(
            f"--model-class {name}: importing {module_name} failed ({type(error).__name__}: {error}); "
            "start in the directory that it lies in, or set PYTHONPATH."
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise ArchitectureError(f"--model-class {name}: {module_name} has no function {attribute!r}.")
    _FACTORIES[name] = factory


def needed_for(name: str) -> tuple[str, ...]:
    """What another process has to :func:`load` before it can build the architecture of this name."""
    return (name,) if name in _FACTORIES else ()


def factory(name: str) -> Callable[..., Any]:
    """What :func:`load` imported.

    Raises:
        FactoryError: it was not called for this name.
    """
    if name not in _FACTORIES:
        raise FactoryError(
            f"the network is made by {name!r}, code of somebody's own; if you trust it, name it with "
            f"--model-class {name}."
        )
    return _FACTORIES[name]
