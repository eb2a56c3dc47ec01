"""Standard output holds results and nothing else, whatever a library prints, in Python or in C.

While a command runs, what is written to file descriptor 1 or to ``sys.stdout`` appears on standard error, and
results go to a duplicate of the descriptor.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO, cast

import click

_OUT, _ERROR = 1, 2

_reserved: list[TextIO | None] = []
"""The stream for results, while standard output is reserved; None in it if standard output is closed."""


@contextmanager
def reserved() -> Iterator[None]:
    """Keep standard output for :func:`write` while the block runs; such a block inside changes nothing."""
    if _reserved:
        yield
        return
    out = sys.stdout
    with _duplicate(out) as results, redirect_stdout(sys.stderr):
        _reserved.append(results)
        try:
            yield
        finally:
            _reserved.clear()


def write(text: str, *, newline: bool = True) -> None:
    """Write a part of the result, at once."""
    stream = _stream()
    if stream is not None:
        click.echo(text, file=stream, nl=newline)


def on_a_terminal() -> bool:
    """Whether results go to a terminal."""
    stream = _stream()
    return stream is not None and stream.isatty()


def open_all() -> None:
    """Open descriptors 0 to 2 where they are closed.

    Otherwise the next file that is opened would get such a number, and then what libraries print.
    """
    for descriptor in range(_ERROR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is taken.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def let_messages_fail() -> None:
    """Go on where standard error takes nothing more, such as a log on a full disk."""
    sys.stderr = cast(TextIO, _Messages(sys.stderr))


def end() -> None:
    """Send what libraries print as this process ends, or have kept in a buffer, to standard error."""
    if sys.stdout is not None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
    with suppress(OSError):
        os.dup2(_ERROR, _OUT)
    try:
        sys.__stderr__.flush()  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        # Python would try again and report that as its exit status.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_RDWR), _ERROR)


class _Messages:
    """A text stream whose failures are dropped, unless its reader has gone."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with self._dropped():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropped():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _dropped(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError:
            return


def _stream() -> TextIO | None:
    return _reserved[0] if _reserved else sys.stdout


@contextmanager
def _duplicate(out: TextIO | None) -> Iterator[TextIO | None]:
    """``out`` on a descriptor of its own, with standard error in the place of the old one.

    A stream without a descriptor, such as a test's buffer, is ``out`` itself.
    """
    if out is None or not _is_standard(out):
        yield out
        return
    out.flush()
    saved = os.dup(_OUT)
    os.dup2(_ERROR, _OUT)
    results = os.fdopen(saved, "w", encoding=out.encoding, errors=out.errors)
    try:
        yield results
    finally:
        os.dup2(saved, _OUT)
        # All is flushed, or could not be, and then the error is known.
        with suppress(OSError):
            results.close()


def _is_standard(out: TextIO) -> bool:
    try:
        return out.fileno() == _OUT
    except (OSError, ValueError, io.UnsupportedOperation):
        return False
