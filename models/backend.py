"""The backend that a program is traced for: this process's, unless it is to run elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

_TARGET: ContextVar[str | None] = ContextVar("target", default=None)


def target() -> str:
    """``cpu``, ``gpu`` or ``tpu``; lowerings are chosen by it."""
    return _TARGET.get() or jax.default_backend()


@contextmanager
def traced_for(backend: str) -> Iterator[None]:
    """What is traced within takes the lowerings of ``backend``, to be exported."""
    token = _TARGET.set(backend)
    try:
        yield
    finally:
        _TARGET.reset(token)
