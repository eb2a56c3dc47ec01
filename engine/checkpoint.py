"""Checkpoints: one file a generation, checksummed, the last few kept; a damaged one is named and skipped.

A file is a line of magic, a line with the SHA-256 of the rest, and the state (a safetensors payload; never
a pickle).
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError

from engine.atomic import write_atomically
from engine.errors import CheckpointError, EvopruneError
from engine.layout import Layout
from engine.state import SearchState

MAGIC = b"evoprune checkpoint 1\n"
KEEP = 3
_NAME = re.compile(r"generation-(\d{8})\.ckpt")


class Checkpoint(NamedTuple):
    """What a checkpoint holds; ``identity`` names the configuration it belongs to."""

    state: SearchState
    layout: Layout
    identity: str


def save(folder: Path, state: SearchState, layout: Layout, identity: str) -> Path:
    """Write the checkpoint of this generation and remove all but the last few.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    payload = state.to_bytes(layout, identity)
    folder.mkdir(exist_ok=True)
    path = folder / f"generation-{state.generation:08d}.ckpt"
    write_atomically(path, MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    older = [known for known in list_checkpoints(folder) if known <= path]
    for outdated in older[:-KEEP]:
        outdated.unlink(missing_ok=True)
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in order of generation."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def read(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    head = len(MAGIC) + 65
    payload = content[head:]
    expected = MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    if content[:head] != expected:
        raise CheckpointError(f"{path} is damaged: its checksum does not match.")
    try:
        return Checkpoint(*SearchState.from_bytes(payload))
    except (ValueError, KeyError, TypeError, SafetensorError, EvopruneError) as error:
        raise CheckpointError(f"{path} was not written by this version: {error}.") from error


def load_latest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None where there is no checkpoint at all.

    Args:
        folder: of the checkpoints.
        warn: told about each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: there are checkpoints and all are damaged.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            checkpoint = read(path)
        except CheckpointError as error:
            warn(f"{error} The checkpoint before it is used.")
        else:
            return checkpoint
    if paths:
        raise CheckpointError(
            f"every checkpoint in {folder} is damaged; remove that folder to resume from generation 0."
        )
    return None
