"""Checkpoints: one sealed file for each generation, of which the last few are kept.

A damaged checkpoint is reported by name, and the one before it is used.
"""

import math
import re
from collections.abc import Callable

from engine.errors import CheckpointError
from engine.layout import Layout
from engine.run.checks import check_state
from engine.run.codec import Checkpoint, decode, encode
from engine.run.sealed import UNFIT, seal, unsealed
from engine.search.state import SearchState
from engine.stores.base import RunStore

MAGIC = b"evoprune checkpoint 2\n"
FOLDER = "checkpoints"
KEEP = 3
_NAME = re.compile(FOLDER + r"/generation-[0-9]{8}\.ckpt")


def save(store: RunStore, state: SearchState, layout: Layout, identity: str) -> str:
    """Write the checkpoint of this generation, remove outdated ones, and return the name.

    Raises:
        OSError, RunStoreError: the store is full or cannot be written; earlier checkpoints are untouched.
    """
    name = _name(state.generation)
    store.write(name, seal(MAGIC, encode(state, layout, identity)))
    remove_outdated(store, state.generation)
    return name


def load_latest(store: RunStore, warn: Callable[[str], None], images: float = math.inf) -> Checkpoint | None:
    """The newest whole checkpoint; None if there is no checkpoint.

    Args:
        store: of the run.
        warn: receives one sentence for each damaged checkpoint.
        images: see :func:`read`.

    Raises:
        CheckpointError: there are checkpoints and all are damaged.
    """
    names = list_checkpoints(store)
    for name in reversed(names):
        try:
            return read(store, name, images)
        except CheckpointError as error:
            warn(f"{error} The checkpoint before it is used.")
    if names:
        raise CheckpointError(
            f"every checkpoint in {store.full_name(FOLDER)} is damaged; remove that folder to resume from "
            "generation 0."
        )
    return None


def read(store: RunStore, name: str, images: float = math.inf) -> Checkpoint:
    """Read one checkpoint.

    Args:
        store: of the run.
        name: of the checkpoint.
        images: number of images that every mask is evaluated on; inf if unknown.

    Raises:
        CheckpointError: the checkpoint is damaged, or holds a state that no search can reach.
        RunStoreError: the store cannot be reached.
    """
    where = store.full_name(name)
    try:
        content = store.read(name)
    except OSError as error:
        raise CheckpointError(f"{where} cannot be read: {error.strerror or error}.") from error
    payload = unsealed(MAGIC, content)
    if payload is None:
        raise CheckpointError(f"{where} is damaged: its checksum does not match.")
    try:
        found = decode(payload)
        check_state(found.state, found.layout, images)
        if name != _name(found.state.generation):
            raise ValueError(f"it holds generation {found.state.generation}")
        return found
    except UNFIT as error:
        raise CheckpointError(f"{where} was not written by this version: {error}.") from error


def list_checkpoints(store: RunStore) -> list[str]:
    """Names of the checkpoints, in order of generation."""
    return sorted(name for name in store.names(FOLDER) if _NAME.fullmatch(name))


def remove_outdated(store: RunStore, generation: int) -> None:
    """Remove all but the last few checkpoints up to ``generation``; later ones will be written again."""
    older = [known for known in list_checkpoints(store) if known <= _name(generation)]
    for outdated in older[:-KEEP]:
        store.remove(outdated)


def _name(generation: int) -> str:
    return f"{FOLDER}/generation-{generation:08d}.ckpt"
