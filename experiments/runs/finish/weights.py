"""The network of a RESULT, kept in its run: a refit may end in other last bits on another kind of machine."""

import hashlib
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.errors import RunError
from engine.layout import mask_sha256
from engine.run.checks import checked_masks
from engine.run.directory import RunDirectory
from engine.run.sealed import UNFIT, seal, unsealed
from experiments.runs.finish.result import Result, read_result
from experiments.runs.problem import Problem
from experiments.runs.saved import SavedRun
from models.arrays import arrays_of, set_arrays
from models.errors import NetworkError
from models.model_directory import Model

NAME = "result.safetensors"
MAGIC = b"evoprune result 2\n"
_MASK = "mask"


class Leaving(NamedTuple):
    """A mask, ``bool[f]``, and its smaller network."""

    mask: np.ndarray
    model: Model


def write_weights(run: RunDirectory, problem: Problem, leaving: Leaving) -> str:
    """Keep a mask and its smaller network in the run; returns the SHA-256 of the file."""
    arrays = {f"network.{name}": array for name, array in arrays_of(leaving.model.network).items()}
    packed = problem.genome.layout.pack(leaving.mask[None])
    content = seal(MAGIC, serialise_safetensors({_MASK: packed, **arrays}))
    run.keep(NAME, content)
    return hashlib.sha256(content).hexdigest()


def read_weights(run: RunDirectory, problem: Problem) -> tuple[Leaving, str] | None:
    """The mask and network that :func:`write_weights` kept, and the SHA-256 of the file; None if unusable."""
    try:
        content = run.store.read(NAME)
        payload = unsealed(MAGIC, content)
        if payload is None:
            return None
        return Leaving(*_parsed(payload, problem)), hashlib.sha256(content).hexdigest()
    except (*UNFIT, NetworkError, OSError):
        return None


def weights_of(run: RunDirectory, problem: Problem, result: Result) -> Leaving:
    """The network of a RESULT that is not BEST.

    Raises:
        RunError: the file is missing, damaged or not that of the RESULT.
    """
    found = read_weights(run, problem)
    if found is None or found[1] != result.weights_sha256 or mask_sha256(found[0].mask) != result.sha256:
        raise RunError(
            f"{run.store.full_name(NAME)} does not hold the weights of the RESULT; 'evoprune resume "
            f"{run.location}' makes them anew."
        )
    return found[0]


def result_of(saved: SavedRun) -> Result | None:
    """The RESULT of a run; None, with a sentence where the finish is not done, if there is none.

    Raises:
        RunError: the run has no checkpoint yet.
    """
    if not saved.options.finish:
        return None
    found = read_result(saved.run, saved.newest.state, saved.newest.identity)
    if found is None:
        saved.reporter.message(
            f"the finish of {saved.run.location} is not done, so BEST stands in for RESULT; 'evoprune resume "
            f"{saved.run.location}' does the rest."
        )
    return found


def _parsed(payload: bytes, problem: Problem) -> tuple[np.ndarray, Model]:
    """Raises ValueError, KeyError, TypeError or NetworkError for anything but a mask and its network."""
    arrays = parse_safetensors(payload)
    layout, model = problem.genome.layout, problem.model
    mask = layout.unpack(checked_masks(arrays, _MASK, layout, 1))[0]
    if layout.empties(mask[None]).any():
        raise ValueError("the mask removes every filter of a layer")
    widths = {name: int(keep.sum()) for name, keep in layout.split(mask).items()}
    network = model.network.architecture.with_widths(widths).blank()
    prefix = "network."
    set_arrays(network, {name.removeprefix(prefix): each for name, each in arrays.items() if name != _MASK})
    if not all(np.isfinite(each).all() for each in arrays_of(network).values()):
        raise ValueError("a weight is not finite")
    return mask, Model(network, model.normalisation, model.classes)
