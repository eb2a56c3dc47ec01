"""The format of model directories, which every command reads and a search can start from."""

from pathlib import Path

import jax
import numpy as np

from models import model_directory
from models.export.contract import Predict
from models.logits import logits
from models.model_directory import Model


class Native:
    """``model.json`` and ``weights.safetensors``; see :class:`models.export.contract.Format`."""

    name = "native"

    def runtime(self) -> str:
        """JAX."""
        return f"JAX {jax.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        return model_directory.files(model)

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        return predictor(model_directory.load(directory))


def predictor(model: Model) -> Predict:
    """The model as it is, in JAX."""
    return lambda images: np.asarray(logits(model.network, model.normalisation, images))
