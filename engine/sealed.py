"""Files that tell whether they are whole: a line of magic, a line with the SHA-256 of the rest, the rest."""

import hashlib


def seal(magic: bytes, payload: bytes) -> bytes:
    """The content of a file; ``magic`` ends with a line break."""
    return magic + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def unsealed(magic: bytes, content: bytes) -> bytes | None:
    """The payload of :func:`seal`; None for anything else, however it was damaged."""
    payload = content[len(magic) + 65 :]
    return payload if content == seal(magic, payload) else None
