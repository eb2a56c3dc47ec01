"""Files that tell whether they are whole: a line of magic, a line with the SHA-256 of the rest, the rest."""

import hashlib

from safetensors import SafetensorError

from engine.errors import EvopruneError

UNFIT = (
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
"""What reading a payload can raise where someone wrote a checksum that fits: nothing else about it is certain."""


def seal(magic: bytes, payload: bytes) -> bytes:
    """The content of a file; ``magic`` ends with a line break."""
    return magic + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def unsealed(magic: bytes, content: bytes) -> bytes | None:
    """The payload of :func:`seal`; None for anything else, however it was damaged."""
    payload = content[len(magic) + 65 :]
    return payload if content == seal(magic, payload) else None
