"""Checkpoints: one file a generation, checksummed, the last few kept; a damaged one is named and skipped.

A file is a line of magic, a line with the SHA-256 of the rest, and the state (a safetensors payload; never
a pickle).
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from engine.errors import CheckpointError
from engine.layout import Layout
from engine.sealed import UNFIT, seal, unsealed
from engine.state import SearchState
from engine.state_checks import check_state
from engine.store import RunStore

MAGIC = b"evoprune checkpoint 1\n"
FOLDER = "checkpoints"
KEEP = 3
_NAME = re.compile(FOLDER + r"/generation-[0-9]{8}\.ckpt")


class Checkpoint(NamedTuple):
    """What a checkpoint holds; ``identity`` names the configuration it belongs to."""

    state: SearchState
    layout: Layout
    identity: str


def save(store: RunStore, state: SearchState, layout: Layout, identity: str) -> str:
    """Write the checkpoint of this generation and remove all but the last few; its name.

    Raises:
        OSError, RunStoreError: the store is full or cannot be written; earlier checkpoints are untouched.
    """
    payload = state.to_bytes(layout, identity)
    name = _name(state.generation)
    store.write(name, seal(MAGIC, payload))
    remove_outdated(store, state.generation)
    return name


def remove_outdated(store: RunStore, generation: int) -> None:
    """Remove all checkpoints but the last few up to ``generation``; newer ones are to be written anew."""
    older = [known for known in list_checkpoints(store) if known <= _name(generation)]
    for outdated in older[:-KEEP]:
        store.remove(outdated)


def list_checkpoints(store: RunStore) -> list[str]:
    """Names of the checkpoints in order of generation."""
    return sorted(name for name in store.names(FOLDER) if _NAME.fullmatch(name))


def read(store: RunStore, name: str, images: float = math.inf) -> Checkpoint:
    """Read one checkpoint.

    Args:
        store: of the run.
        name: of the checkpoint.
        images: that every mask is evaluated on; inf where that is not known.

    Raises:
        CheckpointError: it is damaged, or holds what no search can have reached.
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
        found = Checkpoint(*SearchState.from_bytes(payload))
        check_state(found.state, found.layout, images)
        if name != _name(found.state.generation):
            raise ValueError(f"it holds generation {found.state.generation}")
        return found
    except UNFIT as error:
        raise CheckpointError(f"{where} was not written by this version: {error}.") from error


def _name(generation: int) -> str:
    return f"{FOLDER}/generation-{generation:08d}.ckpt"


def load_latest(store: RunStore, warn: Callable[[str], None], images: float = math.inf) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None where there is no checkpoint at all.

    Args:
        store: of the run.
        warn: told about each damaged checkpoint that is passed over.
        images: see :func:`read`.

    Raises:
        CheckpointError: there are checkpoints and all are damaged.
    """
    names = list_checkpoints(store)
    for name in reversed(names):
        try:
            checkpoint = read(store, name, images)
        except CheckpointError as error:
            warn(f"{error} The checkpoint before it is used.")
        else:
            return checkpoint
    if names:
        raise CheckpointError(
            f"every checkpoint in {store.full_name(FOLDER)} is damaged; remove that folder to resume from "
            "generation 0."
        )
    return None
