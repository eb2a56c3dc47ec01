"""The command ``evoprune``: exit status 0 done, 2 a sentence on bad input or the machine, 130 interrupted."""

import os
import sys

import click

from engine.errors import EvopruneError
from experiments.cli import faults, standard_output, termination
from experiments.cli.commands import evoprune
from experiments.cli.entry import INTERRUPTED, handle
from experiments.cli.interruption import was_told
from experiments.cli.options import spellings
from experiments.spelling import spelled
from fitness.evaluation import compilation_cache
from models.errors import NetworkError

_BAD_INPUT = 2


def main(arguments: list[str] | None = None, command: click.Command = evoprune) -> None:
    """Run a command line and exit."""
    standard_output.open_all()
    standard_output.let_messages_fail()
    compilation_cache.enable()
    termination.heed()
    status = run(arguments, command)
    # What the command wrote is complete; Python's own end may be cut short.
    handle(lambda number, frame: os._exit(status))
    standard_output.end()
    if status == INTERRUPTED:
        # XLA may be compiling in other threads, beside which Python's own end crashes.
        os._exit(status)
    sys.exit(status)


def run(arguments: list[str] | None = None, command: click.Command = evoprune) -> int:
    """Run a command line: ``evoprune``, or that of a study; its exit status."""
    try:
        command.main(args=arguments, prog_name="evoprune", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return _BAD_INPUT
    except click.UsageError as error:
        hint = f" See '{error.ctx.command_path} --help'." if error.ctx is not None else ""
        return _fail(" ".join(error.format_message().split()) + hint)
    except click.ClickException as error:
        return _fail(error.format_message())
    except (EvopruneError, NetworkError) as error:
        return _fail(spelled(str(error), spellings(_named(arguments, command))))
    except (KeyboardInterrupt, click.Abort) as error:
        # Most commands have said how to continue, see ``experiments.cli.interruption``.
        if not was_told(error.__cause__ or error):
            click.echo("evoprune: interrupted; start the command again.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; keep Python from complaining while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        sentence = faults.described(error)
        if sentence is None:
            raise
        return _fail(sentence)
    return 0


def _named(arguments: list[str] | None, command: click.Command) -> click.Command | None:
    """The command of the group that the arguments name; the command itself if it is no group."""
    if not isinstance(command, click.Group):
        return command
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return command.get_command(click.Context(command), words[0]) if words else None
    except (EvopruneError, NetworkError):
        # What kept the command from being imported is the error that is told.
        return None


def _fail(sentence: str) -> int:
    click.echo(f"evoprune: error: {faults.lost_folder()}{sentence}", err=True)
    return _BAD_INPUT


if __name__ == "__main__":
    main()
