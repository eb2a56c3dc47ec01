"""What generation 0 has counted so far: with a climb it takes as long as many generations.

One file, replaced after each call of the evaluator, removed once generation 0 has its checkpoint. Founders ask
for the same masks again and find them counted, so that a resumed search is the one that was never stopped.
"""

import math
from collections.abc import Callable

from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.archive import Archive
from engine.archive_arrays import archive_arrays, read_archive
from engine.contracts import FAILED
from engine.layout import Layout
from engine.metadata import metadata
from engine.sealed import UNFIT, seal, unsealed
from engine.store import RunStore

MAGIC = b"evoprune founding 1\n"
NAME = "founding.ckpt"


def save(store: RunStore, archive: Archive, identity: str) -> None:
    """Keep what was counted; ``identity`` as in a checkpoint.

    Raises:
        OSError, RunStoreError: the store is full or cannot be written.
    """
    payload = serialise_safetensors(archive_arrays(archive), metadata={"identity": identity})
    store.write(NAME, seal(MAGIC, payload))


def load(
    store: RunStore, layout: Layout, identity: str, warn: Callable[[str], None], images: float = math.inf
) -> Archive:
    """What was counted, empty where nothing was.

    Args:
        store: of the run.
        layout: of the archive's masks.
        identity: a file of any other is passed over.
        warn: told where a file is passed over; its masks are counted again.
        images: that every mask is evaluated on; inf where that is not known.
    """
    try:
        content = store.read(NAME)
    except FileNotFoundError:
        return Archive(layout)
    try:
        return _parsed(content, layout, identity, images)
    except UNFIT as error:
        warn(f"{store.full_name(NAME)} cannot be used ({error}); its masks are counted again.")
        return Archive(layout)


def _parsed(content: bytes, layout: Layout, identity: str, images: float) -> Archive:
    """What :func:`save` was given; raises one of ``UNFIT`` for anything else."""
    payload = unsealed(MAGIC, content)
    if payload is None:
        raise ValueError("its checksum does not match")
    if metadata(payload)["identity"] != identity:
        raise ValueError("it belongs to another run")
    archive = read_archive(parse_safetensors(payload), layout)
    counts = archive.counts()
    # Founders are answered in full: nothing was stopped for them.
    if ((counts < FAILED) | (counts > images)).any():
        raise ValueError("it has counts that no evaluation of the run's images gives")
    return archive


def remove(store: RunStore) -> None:
    """Once there is a checkpoint."""
    store.remove(NAME)
