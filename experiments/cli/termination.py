"""SIGTERM, Ctrl-C and a closed terminal end a command with a KeyboardInterrupt that gets through.

Python raises the exception wherever the main thread is. In two places that does not work. An import must end
first: a process crashes whose loading of jaxlib is cut short. A callback of a library drops the exception. So the
interruption comes again until the command is on its way out.
"""

import os
import sys
import threading
from time import monotonic
from types import FrameType
from typing import Any

from experiments.cli.entry import handle

_AGAIN = 0.05
"""Seconds between two tries."""
_LONGEST_IMPORT = 20.0
"""Seconds after which an interruption no longer waits for the end of an import, which may run the user's code."""
_IMPORT = "<frozen importlib._bootstrap>"


def heed() -> None:
    """Let the signals that end a command raise KeyboardInterrupt, except those that the process is to ignore."""
    handle(_Interruption())
    sys.unraisablehook = _unraisable


class _Interruption:
    """A handler of signals."""

    def __init__(self) -> None:
        self._first = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, now or later."""
        self._first = self._first or monotonic()
        self._come_again(number)
        if not _imports(frame) or monotonic() > self._first + _LONGEST_IMPORT:
            raise KeyboardInterrupt

    def _come_again(self, number: int) -> None:
        timer = threading.Timer(_AGAIN, self._remind, (number,))
        timer.daemon = True
        timer.start()

    def _remind(self, number: int) -> None:
        # No signal disturbs the clean-up, in which Ray may have given the signal another handler.
        if _is_leaving():
            self._come_again(number)
        else:
            os.kill(os.getpid(), number)


def _unraisable(unraisable: Any) -> None:
    """Say nothing of an interruption that a callback dropped: it comes again."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _is_leaving() -> bool:
    """Whether the main thread cleans up after a KeyboardInterrupt."""
    handled: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    # Python 3.11 has the type and the traceback beside the exception.
    error = handled[1] if isinstance(handled, tuple) else handled
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False
