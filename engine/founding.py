"""What generation 0 has counted so far: with a climb it takes as long as many generations.

One file, replaced after each call of the evaluator, removed once generation 0 has its checkpoint. Founders ask
for the same masks again and find them counted, so that a resumed search is the one that was never stopped.
"""

from collections.abc import Callable

from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.archive import Archive
from engine.layout import Layout
from engine.metadata import metadata
from engine.sealed import seal, unsealed
from engine.store import RunStore

MAGIC = b"evoprune founding 1\n"
NAME = "founding.ckpt"


def save(store: RunStore, archive: Archive, identity: str) -> None:
    """Keep what was counted; ``identity`` as in a checkpoint.

    Raises:
        OSError, RunStoreError: the store is full or cannot be written.
    """
    packed, correct = archive.to_arrays()
    arrays = {"archive_masks": packed, "archive_correct": correct}
    store.write(NAME, seal(MAGIC, serialise_safetensors(arrays, metadata={"identity": identity})))


def load(store: RunStore, layout: Layout, identity: str, warn: Callable[[str], None]) -> Archive:
    """What was counted, empty where nothing was.

    Args:
        store: of the run.
        layout: of the archive's masks.
        identity: a file of any other is passed over.
        warn: told where a file is passed over; its masks are counted again.
    """
    try:
        payload = unsealed(MAGIC, store.read(NAME))
    except FileNotFoundError:
        return Archive(layout)
    try:
        if payload is None:
            raise ValueError("its checksum does not match")
        if metadata(payload)["identity"] != identity:
            raise ValueError("it belongs to another run")
        arrays = parse_safetensors(payload)
        return Archive.from_arrays(layout, arrays["archive_masks"], arrays["archive_correct"])
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        warn(f"{store.full_name(NAME)} cannot be used ({error}); its masks are counted again.")
        return Archive(layout)


def remove(store: RunStore) -> None:
    """Once there is a checkpoint."""
    store.remove(NAME)
