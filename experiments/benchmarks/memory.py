"""Peak memory of this process and of its device."""

import resource
import sys
from pathlib import Path

import jax


def resident_peak() -> int:
    """Largest resident set of this process so far, in bytes.

    On Linux from ``/proc``: ``ru_maxrss`` begins with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_peak() -> int | None:
    """Most bytes in use on the device so far; None where the device does not count, as a CPU."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use")
