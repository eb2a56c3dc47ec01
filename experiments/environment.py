"""Versions and hardware that a result was made with, for ``run.json`` and ``model.json``."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("evoprune", "jax", "jaxlib", "flax", "optax", "deap", "ray", "numpy", "datasets")


def versions() -> dict[str, str]:
    """Versions of Python and the packages that shape a result; absent packages are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores and JAX devices of this machine."""
    import jax

    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "jax_backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
    }
