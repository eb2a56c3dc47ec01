"""The machine of a benchmark: hardware, versions, peak speed at matrix products, and peak memory.

The peak speed is measured with a large product, not taken from a data sheet. A program's share of the peak speed
tells how much of the machine the program uses.
"""

import os
import resource
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp

from experiments.environment import hardware, versions

CPU_SIZE, GPU_SIZE = 2048, 8192
REPEATS = 5


def describe() -> dict[str, Any]:
    """Hardware and versions, for the record of a benchmark."""
    found = {"hardware": {**hardware(), "processor": _processor()}, "versions": versions()}
    if hasattr(os, "sched_getaffinity"):
        found["hardware"]["usable_cores"] = len(os.sched_getaffinity(0))
    if find_spec("torch") is None:
        return found
    import torch

    found["versions"]["torch"] = torch.__version__
    found["torch"] = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "openmp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        # What "float32" means on a GPU: both libraries may compute it in TF32.
        "tf32_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_products": torch.backends.cuda.matmul.allow_tf32,
    }
    return found


def matmul_peaks() -> dict[str, dict[str, float]]:
    """``{"float32": {"jax": FLOP/s, "torch": ...}, "bfloat16": ...}``, the best of some repeats each."""
    peaks = {name: {"jax": _jax_peak(name)} for name in ("float32", "bfloat16")}
    if find_spec("torch") is not None:
        for name, found in peaks.items():
            found["torch"] = _torch_peak(name)
    return peaks


def best_of(first: dict[str, dict[str, float]], second: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The higher peaks of two measurements: other work on the machine only ever lowers them."""
    return {
        dtype: {library: max(speed, second[dtype][library]) for library, speed in found.items()}
        for dtype, found in first.items()
    }


def peak(peaks: dict[str, dict[str, float]], dtype: str) -> float:
    """The faster library's peak in FLOP/s."""
    return max(peaks[dtype].values())


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


def _jax_peak(dtype: str) -> float:
    size = CPU_SIZE if jax.default_backend() == "cpu" else GPU_SIZE
    matrix = jax.random.normal(jax.random.key(0), (size, size), jnp.dtype(dtype))
    product = jax.jit(jnp.matmul)
    return _best(size, lambda: jax.block_until_ready(product(matrix, matrix)))


def _torch_peak(dtype: str) -> float:
    import torch

    cuda = torch.cuda.is_available()
    size = GPU_SIZE if cuda else CPU_SIZE
    matrix = torch.randn(size, size, device="cuda" if cuda else "cpu").to(getattr(torch, dtype))

    def product() -> None:
        matrix @ matrix
        if cuda:
            torch.cuda.synchronize()

    return _best(size, product)


def _best(size: int, product: Callable[[], object]) -> float:
    product()
    times = []
    for _ in range(REPEATS):
        started = perf_counter()
        product()
        times.append(perf_counter() - started)
    return 2 * size**3 / min(times)


def _processor() -> str | None:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
