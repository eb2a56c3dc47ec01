"""Factories of users' own modules. Their code runs only if the user names it, never because a file does."""

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
        raise ArchitectureError(f"`model_class` must be package.module:factory, not {name!r}.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    # The user's code may raise anything; the user is told what.
    except Exception as error:
        raise ArchitectureError(
            f"`model_class` {name}: importing {module_name} failed ({type(error).__name__}: {error}); "
            "start in the directory that holds it, or set PYTHONPATH."
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise ArchitectureError(f"`model_class` {name}: {module_name} has no function {attribute!r}.")
    _FACTORIES[name] = factory


def needed_for(name: str) -> tuple[str, ...]:
    """The names that another process has to :func:`load` before it can build the architecture of this name."""
    return (name,) if name in _FACTORIES else ()


def factory(name: str) -> Callable[..., Any]:
    """The factory that :func:`load` imported under this name.

    Raises:
        FactoryError: :func:`load` was not called for this name.
    """
    if name not in _FACTORIES:
        raise FactoryError(
            f"the network is made by the code {name!r}; if you trust this code, give `model_class` {name}."
        )
    return _FACTORIES[name]
