"""The metadata of a safetensors payload, which the package itself reads from files alone."""

import json


def metadata(payload: bytes) -> dict[str, str]:
    """What ``safetensors.numpy.save`` was given as ``metadata``.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: the payload is something else, or was saved without.
    """
    length = int.from_bytes(payload[:8], "little")
    found: dict[str, str] = json.loads(payload[8 : 8 + length])["__metadata__"]
    return found
