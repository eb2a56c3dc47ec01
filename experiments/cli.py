"""The command ``evoprune``: exit status 0 done, 2 bad input, 130 interrupted, 1 anything else."""

import errno
import os
import signal
import sys
from types import FrameType

import click

from engine.errors import EvopruneError
from experiments.commands import evoprune
from fitness import compilation_cache
from models.errors import NetworkError

_BAD_INPUT = 2
_INTERRUPTED = 130
_USER_CAN_MEND = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on file sizes",
    errno.EACCES: "give yourself permission",
    errno.EPERM: "give yourself permission",
    errno.EROFS: "name a directory that can be written",
    errno.ENOTDIR: "name a directory",
    errno.EISDIR: "name a file",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EIO: "check the disk",
    errno.ESTALE: "check the file server",
    errno.ETIMEDOUT: "check the file server",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    compilation_cache.enable()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; its exit status."""
    try:
        evoprune.main(args=arguments, prog_name="evoprune", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return _BAD_INPUT
    except click.UsageError as error:
        hint = f" See '{error.ctx.command_path} --help'." if error.ctx is not None else ""
        return _fail(" ".join(error.format_message().split()) + hint)
    except click.ClickException as error:
        return _fail(error.format_message())
    except (EvopruneError, NetworkError) as error:
        return _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        # The command that knows how to go on has said so (see ``commands.interruption``).
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; keep Python from complaining while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _USER_CAN_MEND:
            raise
        name = error.filename or "the output"
        return _fail(
            f"cannot write or read {name}: {error.strerror}; {_USER_CAN_MEND[error.errno]} and try again "
            "('evoprune resume RUN_DIR' continues a search; nothing that was saved is lost)."
        )
    return 0


def _fail(sentence: str) -> int:
    click.echo(f"evoprune: error: {sentence}", err=True)
    return _BAD_INPUT


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
