"""The commands of ``evoprune``, one a module, which is imported when its command is asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import click

from experiments.cli.standard_output import reserved

SECTIONS = {
    "Networks": {
        "models": "List the networks that can be trained by name.",
        "train": "Train a network on a data set.",
        "import": "Import a network from ONNX.",
        "import-torch": "Import weights from PyTorch.",
        "info": "Describe a model directory.",
        "evaluate": "Measure the accuracy of a model directory.",
    },
    "Search": {
        "search": "Search for filters that can be removed without retraining.",
        "resume": "Continue an interrupted search, or search further.",
        "status": "Say where a search stands.",
        "export": "Write the mask that a search found as a smaller network.",
        "report": "Write figures and an HTML page of a run, or compare runs.",
        "tensorboard": "Write a run for TensorBoard.",
    },
    "After and instead of a search": {
        "finetune": "Train a pruned network further.",
        "prune-finetune": "Remove filters and fine-tune, in turn.",
        "score": "Evaluate your own masks.",
        "baseline": "Compare a search with other methods.",
        "bench": "Time a network and its pruned form.",
    },
    "Examples": {
        "demo": "Train, search, export and report on digits, in three minutes.",
        "reproduce": "Run an experiment of one of the documents that evoprune implements.",
    },
}
"""Title -> command -> one sentence, so that help need not import the commands."""

PLACES = {"import": ("imports", "import_onnx"), "import-torch": ("imports", "import_torch")}
"""Command -> module and function, where they have other names than the command."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for: help and ``status`` do not wait for JAX."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the sections."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """The command of that name; None if there is none."""
        if not any(cmd_name in section for section in SECTIONS.values()):
            return None
        name = cmd_name.replace("-", "_")
        module, function = PLACES.get(cmd_name, (name, name))
        with _said("loading"), reserved():
            command: click.Command = getattr(import_module(f"{__name__}.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@contextmanager
def _said(text: str) -> Iterator[None]:
    """Show a word on the terminal while the block runs: the first import of JAX takes seconds."""
    if not sys.stderr.isatty():
        yield
        return
    click.echo(text, err=True, nl=False)
    try:
        yield
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


@click.group(cls=Commands, context_settings={"max_content_width": 110})
@click.version_option(package_name="evoprune")
def evoprune() -> None:
    """Find the filters of a trained CNN that can be removed without retraining."""
