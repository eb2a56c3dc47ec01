"""A model directory: what every command here takes, and what can be searched again."""

from pathlib import Path

import jax
import numpy as np

from models import store
from models.export.contract import Predict
from models.store import Model


class Native:
    """``model.json`` and ``weights.safetensors``; see :class:`models.export.contract.Format`."""

    name = "native"

    def runtime(self) -> str:
        """JAX."""
        return f"JAX {jax.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        return store.files(model)

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        return predictor(store.load(directory))


def predictor(model: Model) -> Predict:
    """The model as it is, in JAX."""
    forward = jax.jit(lambda network, images: network(model.normalisation(images)))
    return lambda images: np.asarray(forward(model.network, images))
