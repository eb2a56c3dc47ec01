"""Checkpoints: one file a generation, checksummed, the last few kept; a damaged one is named and skipped.

A file is a line of magic, a line with the SHA-256 of the rest, and the state (a safetensors payload; never
a pickle).
"""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import NamedTuple

from safetensors import SafetensorError

from engine.errors import CheckpointError, EvopruneError
from engine.layout import Layout
from engine.sealed import seal, unsealed
from engine.state import SearchState
from engine.store import RunStore

MAGIC = b"evoprune checkpoint 1\n"
FOLDER = "checkpoints"
KEEP = 3
_NAME = re.compile(FOLDER + r"/generation-[0-9]{8}\.ckpt")
# What parsing can raise where someone wrote a checksum that fits: nothing else about a file is certain.
_UNFIT = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    RecursionError,
    SafetensorError,
    EvopruneError,
)


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


def read(store: RunStore, name: str) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        CheckpointError: it is damaged.
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
        _check_numbers(found.state, name)
        return found
    except _UNFIT as error:
        raise CheckpointError(f"{where} was not written by this version: {error}.") from error


def _check_numbers(state: SearchState, name: str) -> None:
    """Raise TypeError or ValueError unless counters and figures are numbers and the generation is the name's."""
    for field in fields(state):
        value = getattr(state, field.name)
        if field.type is int and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"{field.name} is {value!r}")
    if not all(isinstance(value, int | float) for value in state.best.figures.values()):
        raise TypeError("a figure of BEST is no number")
    if state.origins and list(state.best.ancestry or ()) != list(state.origins):
        raise ValueError("the ancestry of BEST does not fit its origins")
    if not all(type(count) is int for count in (state.best.ancestry or {}).values()):
        raise TypeError("the ancestry of BEST is no count of filters")
    if name != _name(state.generation):
        raise ValueError(f"it holds generation {state.generation}")


def _name(generation: int) -> str:
    return f"{FOLDER}/generation-{generation:08d}.ckpt"


def load_latest(store: RunStore, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None where there is no checkpoint at all.

    Args:
        store: of the run.
        warn: told about each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: there are checkpoints and all are damaged.
    """
    names = list_checkpoints(store)
    for name in reversed(names):
        try:
            checkpoint = read(store, name)
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
