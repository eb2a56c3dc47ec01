"""From an ONNX file to a model directory: the ``import`` command."""

import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import OptionError
from engine.options import option
from experiments.data.options import DataOptions
from experiments.progress import Reporter, Silent
from experiments.training.importing import ImportResult, InputOptions, written
from models import output_directory
from models.onnx_import.importing import import_onnx

_SIZE = re.compile(r"([1-9]\d*)(?:x([1-9]\d*))?")


@dataclass(frozen=True)
class ONNXImportOptions(InputOptions):
    """What an ONNX file does not tell about its network.

    Raises:
        OptionError: a value out of its range.
    """

    input_size: str | None = option(
        None,
        "Height and width of the images, as 48x192, or one number for both, where the file leaves them open.",
        metavar="SIZE",
    )
    output: str | None = option(
        None, "Name of the result that holds the logits, if the file has several.", metavar="NAME"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input_size is not None and not _SIZE.fullmatch(self.input_size):
            raise OptionError(
                f"`input_size` must be height and width, as in 48x192 or 32, not {self.input_size!r}."
            )

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the images."""
        found = _SIZE.fullmatch(self.input_size or "")
        return None if found is None else (int(found[1]), int(found[2] or found[1]))


def import_onnx_model(
    file: Path,
    directory: Path,
    options: ONNXImportOptions,
    *,
    data: DataOptions | None = None,
    reporter: Reporter | None = None,
) -> ImportResult:
    """Import ``file``, write ``directory``, and measure the accuracy if ``data`` is given.

    Raises:
        StoreError: the file holds no network that can be read, or the directory is occupied.
    """
    reporter = reporter or Silent()
    output_directory.check_target(Path(directory))
    reporter.message(f"reading the network {file}")
    imported = import_onnx(
        Path(file),
        options.normalisation,
        name=Path(file).stem,
        classes=options.names,
        input_size=options.size,
        output=options.output,
    )
    return written(file, directory, imported.model, list(imported.assumed), options, data, reporter)
