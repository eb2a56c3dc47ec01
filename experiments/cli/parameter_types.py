"""Types of the words of the command line, beyond numbers and text."""

from pathlib import Path
from typing import Any

import click

from engine.errors import RunStoreError
from engine.stores.locations import check_path


class LocalDirectory(click.Path):
    """A directory on this machine. URLs and the like are refused, since they would quietly become odd paths."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See :class:`click.ParamType`."""
        if "://" in str(value):
            self.fail(f"{value} is a URL; only run directories can be at URLs, give a local directory.")
        try:
            check_path(str(value))
        except RunStoreError as error:
            self.fail(str(error))
        return super().convert(value, parameter, context)


class Seconds(click.ParamType):
    """A number of seconds, which may be left out at the end of the command line."""

    name = "seconds"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """See :class:`click.ParamType`."""
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number of seconds; to omit it, give --watch last.", parameter, context)
        if not 0.1 <= seconds < float("inf"):
            self.fail(f"{value} s cannot be; give 0.1 or more.", parameter, context)
        return seconds


class Numbers(click.ParamType):
    """Numbers joined by commas, as a tuple."""

    name = "numbers"

    def __init__(self, kind: type[float] = float, example: str = "0.49,0.48,0.45"):
        self._kind = kind
        self._example = example

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See :class:`click.ParamType`."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._kind(part) for part in value.split(","))
        except ValueError:
            whole = "whole " if self._kind is int else ""
            self.fail(
                f"{value!r} is not a list of {whole}numbers; write them as {self._example}.", parameter, context
            )


MODEL_DIRECTORY = LocalDirectory()
NUMBERS = Numbers()
COUNTS = Numbers(int, "1,64")
FILE = click.Path(path_type=Path)
