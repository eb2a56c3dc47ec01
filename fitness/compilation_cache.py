"""JAX's persistent compilation cache, so that a resumed search and a new worker start fast.

Programs for CPU hold instructions of the CPU that compiled them, so each kind of CPU has a folder of its own:
a home folder may be shared by the nodes of a cluster.
"""

import hashlib
import os
import platform
import sys
from pathlib import Path

FASTEST_KEPT = 0.05
"""Seconds of compilation below which a program is not worth a file; JAX's default, 1, keeps hardly any."""


def enable() -> Path | None:
    """Switch the cache on, in the user's cache folder, for this process and those it starts; its place.

    Left as it is if the user has chosen: ``JAX_COMPILATION_CACHE_DIR`` or ``JAX_ENABLE_COMPILATION_CACHE``.
    None if so, or if there is no place to write; programs are then compiled anew. Does not import JAX.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or "JAX_ENABLE_COMPILATION_CACHE" in os.environ:
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "evoprune" / f"jax-{_cpu()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": FASTEST_KEPT,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        os.environ[name.upper()] = str(value)
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name, value)
    return folder


def _cpu() -> str:
    """A name for this kind of CPU: its model and what it can do."""
    description = platform.machine() + platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    kinds = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return hashlib.sha256("\n".join([description, *sorted(kinds)]).encode()).hexdigest()[:12]
