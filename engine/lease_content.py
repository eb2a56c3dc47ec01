"""What stands in a lease: its owner by a random name, and, for people, where and when."""

import json
import os
import socket
import time
from typing import Any


def lease_content(owner: str, renewals: int, expiry: float) -> bytes:
    """The lease of this process; each renewal changes it."""
    entry = {
        "owner": owner,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "renewals": renewals,
        # For people who look; never compared.
        "renewed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "expires_after_seconds": expiry,
    }
    return (json.dumps(entry, indent=2) + "\n").encode()


def owner_of(content: bytes) -> Any:
    """Whose lease it is; None where it is damaged."""
    return _entry(content).get("owner")


def described(content: bytes | None) -> str:
    """The owner, for sentences."""
    entry = _entry(content or b"")
    pid, host = entry.get("pid"), entry.get("host")
    if not isinstance(pid, int) or not isinstance(host, str):
        return "another process"
    # A file's words go to a terminal: no control characters.
    shown = "".join(letter for letter in host if letter.isprintable())[:60]
    return f"another process ({pid} on {shown})"


def _entry(content: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
