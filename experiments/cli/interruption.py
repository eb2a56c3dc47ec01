"""How a long command is interrupted, and the sentence that it then ends with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from experiments.cli.options import spelled_for

_TOLD = "the user was told"
_GO_ON = "to go on: "


def was_told(error: BaseException) -> bool:
    """Whether an interruption has ended with a sentence already."""
    return _TOLD in getattr(error, "__notes__", ())


def how_to_go_on(error: BaseException) -> str | None:
    """How the command that an error ended can be continued, as :func:`interruptible` noted."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_GO_ON)]
    return notes[0].removeprefix(_GO_ON) if notes else None


@contextmanager
def interruptible(remedy: str | Callable[[], str]) -> Iterator[Any]:
    """Progress on standard error; Ctrl-C, SIGTERM and SIGHUP end with ``remedy``: how to continue.

    Errors that the machine may have caused carry the remedy as a note, see :func:`how_to_go_on`.
    """
    from experiments.progress import Terminal

    terminal = Terminal(partial(spelled_for, click.get_current_context(silent=True)))
    try:
        yield terminal
    except KeyboardInterrupt as error:
        terminal.close()
        click.echo(f"evoprune: interrupted; {_said(remedy)}", err=True)
        error.add_note(_TOLD)
        raise
    except (OSError, MemoryError, RuntimeError) as error:
        error.add_note(_GO_ON + _said(remedy))
        raise
    finally:
        terminal.close()


def how_to_resume(run_dir: str) -> Callable[[], str]:
    """The sentence for an interrupted search, true at the moment of the interruption."""

    def sentence() -> str:
        from engine.errors import EvopruneError
        from engine.run.directory import DESCRIPTION, RunDirectory

        try:
            begun = RunDirectory(run_dir).store.exists(DESCRIPTION)
        except (EvopruneError, OSError):
            return f"if the search had begun, 'evoprune resume {run_dir}' continues it."
        if begun:
            return f"continue with 'evoprune resume {run_dir}'."
        return (
            f"{run_dir} holds no run: either the search had not begun, and can be started again, or "
            "somebody moved the directory, and 'evoprune resume' continues the run where it is now."
        )

    return sentence


def _said(remedy: str | Callable[[], str]) -> str:
    return remedy if isinstance(remedy, str) else remedy()
