"""The first lines of ``evoprune``: signals end the process with a sentence while the command line is imported."""

import os
import signal
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let ``handler`` receive the signals that end a command, except those that the process is to ignore."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def main() -> None:
    """Run the command line and exit."""
    handle(_end)
    # The import takes a while, in which a KeyboardInterrupt would end with a traceback.
    from experiments.cli.main import main

    main()


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"evoprune: interrupted; the command had not begun; start it again.\n")
    finally:
        # Standard error may be closed.
        os._exit(INTERRUPTED)
