"""The contract of an export format."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from models.store import Model

Predict = Callable[[np.ndarray], np.ndarray]
"""Logits ``float32[b, classes]`` of images ``uint8[b, height, width, channels]``."""


class Format(Protocol):
    """What ``export --format NAME`` writes. Implementations hold no state."""

    name: str

    def runtime(self) -> str:
        """What :meth:`load` runs the network in, for people.

        Raises:
            ExportError: a package that the format needs is not installed.
        """
        ...

    def files(self, model: Model) -> dict[str, bytes]:
        """The content of the directory, by file name; any batch size.

        Raises:
            ExportError: the network has something that the format cannot say.
        """
        ...

    def load(self, directory: Path) -> Predict:
        """The network as its runtime reads it from the files alone, normalisation included."""
        ...
