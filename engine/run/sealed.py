"""Sealed files, which show any damage: a line of magic, a line with the SHA-256 of the payload, the payload."""

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
"""All that reading a forged payload can raise: a payload with a matching checksum can still hold anything."""


def seal(magic: bytes, payload: bytes) -> bytes:
    """The content of a sealed file; ``magic`` ends with a line break."""
    return magic + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def unsealed(magic: bytes, content: bytes) -> bytes | None:
    """Inverse of :func:`seal`; None for any other content."""
    payload = content[len(magic) + 65 :]
    return payload if content == seal(magic, payload) else None
