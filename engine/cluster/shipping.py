"""The code that a search sends to a Ray cluster: our packages, and requirements that its nodes lack.

Nothing here talks to Ray. Ray's ``runtime_env`` carries the code and runs pip; only this module knows which nodes
need pip at all, and that pip must not replace a node's JAX.
"""

import configparser
import json
import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import engine
from engine.errors import BackendError, OptionError

PACKAGES = ("engine", "models", "fitness")
"""Packages that workers import: folders side by side. This package does not import the others."""

IMPORTED = ("flax", "jax", "msgspec", "numpy", "threadpoolctl")
"""Distributions that our packages import in a worker; ``tests/test_architecture.py`` checks this."""

PREINSTALLED = "jax"
"""Never installed from here: the right build depends on the node's device."""

_DISTRIBUTION = "evoprune"
_EXCLUDED = ["__pycache__"]
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def runtime_env(packages: Sequence[Path], requirements: Sequence[str] = ()) -> dict[str, Any]:
    """A Ray runtime environment with these packages; pip runs only if there are requirements."""
    environment: dict[str, Any] = {"py_modules": [str(path) for path in packages], "excludes": list(_EXCLUDED)}
    if requirements:
        environment["pip"] = list(requirements)
    return environment


def our_packages() -> list[Path]:
    """The folders of :data:`PACKAGES`, from a source tree or an installed wheel."""
    home = Path(engine.__path__[0]).resolve().parent
    return [home / name for name in PACKAGES]


def in_a_ray_job() -> bool:
    """Whether ``ray job submit`` started this process, and so sent our code already."""
    return _JOB_CONFIG in os.environ


def needed() -> dict[str, str]:
    """The versions of :data:`IMPORTED` that our own metadata allows, such as ``{"flax": ">=0.12"}``."""
    from packaging.requirements import Requirement

    parsed = [Requirement(line) for line in _declared()]
    ranges = {entry.name: str(entry.specifier) for entry in parsed if entry.marker is None}
    return {name: ranges[name] for name in IMPORTED}


def lacking(needed: Mapping[str, str], nodes: Sequence[Mapping[str, str | None]]) -> list[str]:
    """Requirements for pip, so that every node has all that a worker imports.

    Args:
        needed: allowed versions of each distribution.
        nodes: each node's version of each distribution; None if missing.

    Raises:
        BackendError: a node has no JAX, or an unusable version.
    """
    from packaging.specifiers import SpecifierSet

    def fits(name: str, version: str | None) -> bool:
        return version is not None and SpecifierSet(needed[name]).contains(version, prereleases=True)

    jax_versions = sorted({node[PREINSTALLED] or "none" for node in nodes})
    if not all(fits(PREINSTALLED, node[PREINSTALLED]) for node in nodes):
        raise BackendError(
            f"the cluster's nodes must have {PREINSTALLED}{needed[PREINSTALLED]} for their device and have "
            f"{', '.join(jax_versions)}; install it there, or say how with `runtime_env`."
        )
    missing = [
        name
        for name in needed
        if name != PREINSTALLED and not (nodes and all(fits(name, node[name]) for node in nodes))
    ]
    if not missing:
        return []
    if len(jax_versions) > 1:
        raise BackendError(
            f"the cluster's nodes lack {', '.join(missing)} and have different versions of {PREINSTALLED} "
            f"({', '.join(jax_versions)}), so that nothing can be installed beside it; make them equal."
        )
    # Pinned, so that pip does not install a JAX for another device.
    pins = [f"{PREINSTALLED}=={version}" for version in jax_versions]
    return [f"{name}{needed[name]}" for name in missing] + pins


def read_runtime_env(path: str) -> dict[str, Any]:
    """The content of the file ``runtime_env``, which is JSON or YAML.

    Raises:
        OptionError: the file cannot be read, or does not describe a runtime environment.
    """
    import yaml

    try:
        content = Path(path).read_text(encoding="utf-8")
        entry = json.loads(content) if Path(path).suffix == ".json" else yaml.safe_load(content)
    except OSError as error:
        raise OptionError(f"cannot read `runtime_env` {path}: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise OptionError(f"`runtime_env` {path} is neither JSON nor YAML: {_one_line(error)}.") from error
    if not isinstance(entry, dict) or not all(isinstance(key, str) for key in entry):
        raise OptionError(f"`runtime_env` {path} must hold an object, such as {{pip: [flax]}}.")
    return entry


def _declared() -> list[str]:
    """Requirement lines of the source tree that holds this file, or else of the installed distribution."""
    tree = Path(engine.__path__[0]).resolve().parent / "setup.cfg"
    if tree.exists():
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(tree, encoding="utf-8")
        if parser.get("metadata", "name", fallback=None) == _DISTRIBUTION:
            return parser["options"]["install_requires"].split("\n")[1:]
    return metadata.requires(_DISTRIBUTION) or []


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
