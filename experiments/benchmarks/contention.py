"""Measures the load by other processes while a benchmark runs, to mark figures that cannot be trusted.

Other processes do not slow all contenders alike. The threads of OpenMP, which PyTorch uses, spin while they wait
for each other: with one other process on 2 cores, a PyTorch loop over a narrow VGG-16 took 40 to 90 times as
long, and our evaluation took twice as long.
"""

import os
from pathlib import Path
from time import perf_counter

BUSY = 0.05
"""Share of the processor used by others above which figures should not be trusted."""

_STATISTICS = Path("/proc/stat")


class Contention:
    """Begins to watch when it is made."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._machine, self._own = _machine_seconds(), _own_seconds()

    def share(self) -> float | None:
        """Share of all cores' time since then that others took, 0 to 1; None where Linux does not tell."""
        machine = _machine_seconds()
        if machine is None or self._machine is None:
            return None
        others = machine - self._machine - (_own_seconds() - self._own)
        return max(0.0, others / (perf_counter() - self._began) / (os.cpu_count() or 1))


def _machine_seconds() -> float | None:
    """Time that all cores have been busy: user, nice, system, interrupts, and stolen by the hypervisor."""
    if not _STATISTICS.exists():
        return None
    user, nice, system, _, _, *rest = map(int, _STATISTICS.read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system
