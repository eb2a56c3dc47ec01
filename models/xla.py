"""XLA before its first computation: flags that evoprune adds, and settings of the user that XLA cannot follow.

XLA reads ``XLA_FLAGS`` once, when JAX computes first, and ends the process at a flag that it does not know.
"""

import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.errors import DeviceError

try:
    import resource
except ImportError:
    # Windows has no such limits.
    resource = None  # type: ignore[assignment]

ADDED = {
    # The reductions that YNNPACK computes on a CPU: none. With more than 32,768 rows, some sums along a short
    # axis are wrong (jax issue 39103), and with arrays of rank 7 the process can die (issue 39257).
    "xla_cpu_experimental_ynn_fusion_type": ("", frozenset({"0.10.2", "0.11.0"})),
    # XLA's newer code generator for fusions takes longer to compile; the programs are as fast without it.
    "xla_cpu_use_fusion_emitters": ("false", frozenset({"0.10.0", "0.10.1", "0.10.2"})),
}
"""What evoprune adds to ``XLA_FLAGS``: by flag, its value and the versions of jaxlib that get it.

Other versions keep their defaults, and may not know the flag."""

LEAST = {"RLIMIT_AS": ("address space", "v", 2 << 30), "RLIMIT_DATA": ("data", "d", 3 << 29)}
"""Limits of the system: what each limits, its option of ``ulimit``, and bytes.

With less JAX may end the process, without an error that could be caught."""

_PLATFORMS = "JAX_PLATFORMS"
_FLAGS = "XLA_FLAGS"
_READ_FLAGS = "from jaxlib import xla_client; xla_client.CompileOptions()"
_LIST_PLATFORMS = "import jax; print(*sorted({device.platform for device in jax.devices()} | {'cpu'}))"
_LOGGED = re.compile(r"^[EF]\d{4} .*?\] (.*)$", re.MULTILINE)


def add_flags() -> None:
    """Add to ``XLA_FLAGS`` what this version of jaxlib needs, beside the flags of the user.

    Importing :mod:`models` does so, so that every process of ours has the flags before JAX computes.
    """
    ours = _added()
    if not ours:
        return
    flags = os.environ.get(_FLAGS, "")
    if flags.strip() and not flags.lstrip().startswith("-"):
        # The variable names a file of flags.
        try:
            flags = Path(flags.strip()).read_text()
        except (OSError, ValueError):
            return
    missing = [flag for name, flag in ours.items() if name not in flags]
    if missing:
        os.environ[_FLAGS] = " ".join([flags.strip(), *missing]).strip()


def refuse_too_little() -> None:
    """Have the first import of jaxlib raise :class:`DeviceError` where the limit on memory is too low.

    Importing :mod:`models` does so: jaxlib may end the process while it is imported.
    """
    if _too_little() is not None:
        sys.meta_path.insert(0, _Guard())


class _Guard:
    """Finds no module, and refuses to look for jaxlib."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "jaxlib":
            _check_limit()


@cache
def check_devices() -> None:
    """Refuse settings of JAX and XLA that this machine cannot follow; to be called before JAX computes.

    Raises:
        DeviceError: the limit on memory is too low, ``XLA_FLAGS`` has an unknown flag, or JAX finds no
            device.
    """
    _check_limit()
    _check_flags()
    import jax

    try:
        jax.devices()
    # JAX raises either, the latter without a word.
    except (RuntimeError, AssertionError) as error:
        wanted = jax.config.jax_platforms or ""  # type: ignore[attr-defined]
        if wanted:
            raise DeviceError(
                f"{_PLATFORMS} is '{wanted}', and JAX finds no such device here, only {_platforms_here()}; unset "
                f"{_PLATFORMS}, or set it to a device that is here."
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DeviceError(f"JAX finds no device that it can use ({reason}); set {_PLATFORMS}=cpu.") from error


def _added() -> dict[str, str]:
    """The flags for this version of jaxlib, by name."""
    try:
        here = version("jaxlib")
    except PackageNotFoundError:
        return {}
    return {name: f"--{name}={value}" for name, (value, versions) in ADDED.items() if here in versions}


def _too_little() -> str | None:
    """The sentence for a limit on memory that is too low; None if there is none."""
    if resource is None:
        return None
    for name, (kind, option, least) in LEAST.items():
        limit, _ = resource.getrlimit(getattr(resource, name))
        if limit != resource.RLIM_INFINITY and limit < least:
            return (
                f"the limit on {kind} is {limit / 2**30:.2f} GiB (ulimit -{option} {limit // 1024}) and JAX "
                f"needs {least / 2**30:g} GiB or more; lift the limit ('ulimit -{option} unlimited') or raise it."
            )
    return None


def _check_limit() -> None:
    sentence = _too_little()
    if sentence is not None:
        raise DeviceError(sentence)


def _check_flags() -> None:
    """Have another process read the flags of the user: XLA ends the process that reads an unknown one."""
    if set(os.environ.get(_FLAGS, "").split()) <= set(_added().values()):
        return
    tried = _run(_READ_FLAGS)
    reasons = [reason for reason in _LOGGED.findall(tried.stderr) if "flag" in reason.lower()]
    if tried.returncode and reasons:
        reason = reasons[0].partition(" (We assumed")[0].rstrip(".")
        raise DeviceError(f"XLA cannot follow {_FLAGS} ({reason}); correct {_FLAGS} or unset it.")


def _platforms_here() -> str:
    """The platforms that JAX finds when it may choose. Asked elsewhere, so that this process takes no device."""
    found = _run(_LIST_PLATFORMS, without=_PLATFORMS)
    return ", ".join(found.stdout.split()) or "cpu"


def _run(program: str, without: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != without}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
