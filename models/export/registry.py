"""The export formats by name."""

from collections.abc import Mapping

from models.errors import ExportError
from models.export.contract import Format
from models.export.native import Native
from models.export.onnx import ONNX
from models.export.stablehlo import StableHLO
from models.export.torch import Torch

FORMATS: Mapping[str, Format] = {entry.name: entry for entry in (Native(), StableHLO(), ONNX(), Torch())}


def named(name: str) -> Format:
    """The format of a name.

    Raises:
        ExportError: there is none of that name.
    """
    if name not in FORMATS:
        raise ExportError(f"`format` must be one of {', '.join(FORMATS)}, not {name!r}.")
    return FORMATS[name]
