"""The contract of an export format."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from models.model_directory import Model

Predict = Callable[[np.ndarray], np.ndarray]
"""Logits ``float32[b, classes]`` of images ``uint8[b, height, width, channels]``."""


class Format(Protocol):
    """An export format. Implementations hold no state."""

    name: str

    def runtime(self) -> str:
        """The software in which :meth:`load` runs the network, for people.

        Raises:
            ExportError: a package that the format needs is not installed.
        """
        ...

    def files(self, model: Model) -> dict[str, bytes]:
        """The content of the directory, by file name; the exported network takes any batch size.

        Raises:
            ExportError: the format cannot express a part of the network.
        """
        ...

    def load(self, directory: Path) -> Predict:
        """The network as the format's runtime reads it from the files alone, normalisation included."""
        ...
