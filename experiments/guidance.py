"""Importances that a run's operators go by: computed once, when it begins, and kept in the run directory."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.errors import RunError
from engine.guide import Guide
from engine.layout import Layout
from engine.run_directory import RunDirectory

NAME = "importances.safetensors"
_ENTRY = "importances_digest"

Importances = Mapping[str, np.ndarray]
"""Method -> ``float64[n_filters]``."""


def guide_of(importances: Importances, layout: Layout) -> Guide:
    """What operators go by."""
    return Guide.of(list(importances.values()), layout)


def write(run: RunDirectory, importances: Importances) -> None:
    """Keep the importances in the run directory."""
    run.store.write(NAME, serialise_safetensors(dict(importances)))


def read(run: RunDirectory, methods: tuple[str, ...], layout: Layout) -> dict[str, np.ndarray]:
    """The importances of a run that was begun with these methods, in their order.

    Raises:
        RunError: their file is missing, is not the one that the run began with, or does not fit the layout.
    """
    where = run.store.full_name(NAME)
    try:
        found: dict[str, np.ndarray] = parse_safetensors(run.store.read(NAME))
        importances = {method: found[method] for method in methods}
    except FileNotFoundError:
        raise RunError(f"{where} is missing, and the search goes by it (--mutate); restore it.") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{where} is damaged ({error}); restore it.") from error
    if digest(importances)[_ENTRY] != run.description().get(_ENTRY):
        raise RunError(f"{where} is not the one that the run began with; restore it.")
    for method, numbers in importances.items():
        # The digest lies beside the file, so that one who can exchange the one can exchange the other.
        if numbers.shape != (layout.n_filters,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
            raise RunError(
                f"{where} does not fit the network: {method!r} has no finite float64 for each of its "
                f"{layout.n_filters:,} filters; restore it."
            )
    return importances


def digest(importances: Importances) -> dict[str, str]:
    """The entry of ``run.json`` by which :func:`read` knows the importances."""
    known: Any = hashlib.sha256()
    for name, array in importances.items():
        known.update(f"{name}{array.dtype.str}{array.shape}".encode())
        known.update(np.ascontiguousarray(array).tobytes())
    return {_ENTRY: known.hexdigest()}
