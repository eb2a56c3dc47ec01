"""The counts of generation 0 while generation 0 is under way; with a climb it takes as long as many generations.

One file holds all counts so far. Each call of the evaluator replaces the file, and the checkpoint of generation 0
ends it. A resumed search builds the same initial masks and finds their counts here.
"""

import math
from collections.abc import Callable

from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.contracts import FAILED
from engine.layout import Layout
from engine.run.codec import archive_arrays, metadata, read_archive
from engine.run.sealed import UNFIT, seal, unsealed
from engine.search.archive import Archive
from engine.stores.base import RunStore

MAGIC = b"evoprune initial counts 2\n"
NAME = "initial.ckpt"


def save(store: RunStore, archive: Archive, identity: str) -> None:
    """Write all counts so far; ``identity`` names the configuration that they belong to.

    Raises:
        OSError, RunStoreError: the store is full or cannot be written.
    """
    payload = serialise_safetensors(archive_arrays(archive), metadata={"identity": identity})
    store.write(NAME, seal(MAGIC, payload))


def load(
    store: RunStore, layout: Layout, identity: str, warn: Callable[[str], None], images: float = math.inf
) -> Archive:
    """The counts that :func:`save` wrote; an empty archive if there are none.

    Args:
        store: of the run.
        layout: of the archive's masks.
        identity: of the configuration; a file of another configuration is ignored.
        warn: receives one sentence if the file is ignored; its masks are then evaluated again.
        images: number of images that every mask is evaluated on; inf if unknown.
    """
    try:
        content = store.read(NAME)
    except FileNotFoundError:
        return Archive(layout)
    try:
        return _parsed(content, layout, identity, images)
    except UNFIT as error:
        warn(f"{store.full_name(NAME)} cannot be used ({error}); its masks are evaluated again.")
        return Archive(layout)


def remove(store: RunStore) -> None:
    """Remove the file, once generation 0 has its checkpoint."""
    store.remove(NAME)


def _parsed(content: bytes, layout: Layout, identity: str, images: float) -> Archive:
    """The archive that :func:`save` wrote; raises one of ``UNFIT`` for any other content."""
    payload = unsealed(MAGIC, content)
    if payload is None:
        raise ValueError("its checksum does not match")
    if metadata(payload)["identity"] != identity:
        raise ValueError("it belongs to another run")
    archive = read_archive(parse_safetensors(payload), layout)
    counts = archive.counts()
    # Initial masks are evaluated in full, so no count is STOPPED.
    if ((counts < FAILED) | (counts > images)).any():
        raise ValueError("it has counts that no evaluation of the run's images gives")
    return archive
