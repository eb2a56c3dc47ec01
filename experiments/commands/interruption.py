"""How a long command is interrupted, and what it then says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def interruptible(remedy: str | Callable[[], str]) -> Iterator[Any]:
    """Progress on standard error; Ctrl-C and SIGTERM end with a sentence on how to go on."""
    from experiments.progress import Terminal

    terminal = Terminal()
    try:
        yield terminal
    except KeyboardInterrupt:
        terminal.close()
        sentence = remedy if isinstance(remedy, str) else remedy()
        click.echo(f"evoprune: interrupted; {sentence}", err=True)
        raise
    finally:
        terminal.close()


def how_to_resume(run_dir: str) -> Callable[[], str]:
    """The sentence for an interrupted search, true at the moment of the interruption."""

    def sentence() -> str:
        from engine.errors import RunStoreError
        from engine.run_directory import DESCRIPTION, RunDirectory

        try:
            begun = RunDirectory(run_dir).store.exists(DESCRIPTION)
        except RunStoreError:
            return f"if it had begun, 'evoprune resume {run_dir}' continues it."
        return (
            f"continue with 'evoprune resume {run_dir}'."
            if begun
            else "the search had not begun; start it again."
        )

    return sentence
