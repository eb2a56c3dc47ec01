"""JAX's persistent compilation cache, which lets a resumed search and a new worker start fast.

A program for a CPU holds instructions of the CPU that compiled it. The nodes of a cluster may share a home
folder, so each kind of CPU has a cache of its own.
"""

import hashlib
import os
import platform
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FASTEST_KEPT = 0.0
"""Least seconds of compilation for which a program is kept: all are. JAX's default, 1, keeps hardly any.

Most programs of a small network compile in less than 0.05 s. To read one back is several times faster, and the
programs of a search take a file of 7 kB each (median of a VGG-16 a quarter as wide)."""

LARGEST = 256 * 2**20
"""Bytes that the caches of all kinds of CPU may take together when a command starts.

JAX's own limit, ``jax_compilation_cache_max_size``, looks at every file of the cache for each program that it
keeps, under a lock that all processes share. It keeps nothing more once a process died between its two writes."""

_FOLDER: Path | None = None
"""That :func:`enable` has switched on for this process."""

_OWN_LIMIT = "JAX_COMPILATION_CACHE_MAX_SIZE"


def _to_standard_error(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def enable(tell: Callable[[str], None] = _to_standard_error) -> Path | None:
    """Switch the cache on for this process and its children. The cache is in the user's cache folder.

    Leaves it as it is if the user has set ``JAX_COMPILATION_CACHE_DIR`` or ``JAX_ENABLE_COMPILATION_CACHE``.
    Does not import JAX.

    Args:
        tell: receives a sentence, at most once, when programs cannot be kept; work goes on without.

    Returns:
        The folder; None if there is none.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or "JAX_ENABLE_COMPILATION_CACHE" in os.environ:
        _tell_once(os.environ.get("JAX_COMPILATION_CACHE_DIR", ""), tell)
        return None
    home = os.environ.get("HOME", os.path.expanduser("~"))
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"))
    if not base.is_absolute():
        tell(_sentence("a cache folder", "there is no home folder"))
        return None
    folder = base / "evoprune" / f"jax-{_cpu()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(0, "it cannot be written")
    except OSError as error:
        tell(_sentence(str(folder), error.strerror or str(error)))
        return None
    trim(folder.parent)
    if _OWN_LIMIT in os.environ:
        _remove_undated(folder)
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": FASTEST_KEPT,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        os.environ[name.upper()] = str(value)
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name, value)
    _tell_once(str(folder), tell)
    global _FOLDER
    _FOLDER = folder
    return folder


def folder() -> Path | None:
    """The folder for this kind of CPU that :func:`enable` has switched on in this process; None if it has not."""
    return _FOLDER


def trim(caches: Path, largest: int = LARGEST) -> None:
    """Remove the programs that were used longest ago until the rest takes at most ``largest`` bytes.

    Several processes may trim at the same time, and others may read: a program that is gone is compiled again.
    Empty files, which a full disk leaves, go too.
    """
    programs = []
    for path in caches.glob("jax-*/*-cache"):
        with suppress(OSError):
            found = path.stat()
            # Many file systems note a reading only once a day, and some never.
            programs.append((max(found.st_atime, found.st_mtime), found.st_size, path))
    left = sum(size for _, size, _ in programs)
    for _, size, path in sorted(programs):
        if size > 0 and left <= largest:
            continue
        left -= size
        with suppress(OSError):
            path.unlink()


def _remove_undated(folder: Path) -> None:
    """Remove the programs of starts without JAX's own limit. They have no file that tells their time, and then
    JAX's limit fails."""
    for path in folder.glob("*-cache"):
        if not path.with_name(path.name.removesuffix("cache") + "atime").exists():
            with suppress(OSError):
                path.unlink()


def _tell_once(folder: str, tell: Callable[[str], None]) -> None:
    """Replace JAX's warnings, one for each program that it cannot read or keep, by one sentence."""
    show, told = warnings.showwarning, False

    def show_others(message: Warning | str, *rest: object, **named: object) -> None:
        nonlocal told
        text = str(message)
        if not text.startswith(("Error writing persistent compilation", "Error reading persistent compilation")):
            show(message, *rest, **named)  # type: ignore[arg-type]
        elif not told:
            told = True
            tell(_sentence(folder, text.partition("': ")[2]))

    warnings.showwarning = show_others


def _sentence(folder: str, reason: str) -> str:
    return (
        f"compiled programs are not all kept in {folder} ({' '.join(reason.split())}), so starts take longer; "
        f"{'JAX_COMPILATION_CACHE_DIR' if 'JAX_COMPILATION_CACHE_DIR' in os.environ else 'XDG_CACHE_HOME'} names "
        "another place."
    )


def _cpu() -> str:
    """A name for this kind of CPU, from its model and its instruction sets."""
    description = platform.machine() + platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    kinds = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return hashlib.sha256("\n".join([description, *sorted(kinds)]).encode()).hexdigest()[:12]
