"""What networks answer, without a mask: weights that are zero one by one are none of a genome's business."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.normalisation import Normalisation
from models.stages import Network


class Answers:
    """The classes that networks give to the same images; those of one architecture share a program.

    Args:
        normalisation: of all the networks.
        images: ``uint8[n, height, width, channels]``.
        batch: images at a time.
    """

    def __init__(self, normalisation: Normalisation, images: np.ndarray, batch: int = 500):
        self._normalisation = normalisation
        self._images = images
        self._batch = batch
        self._ask = jax.jit(self._classes, static_argnums=0)

    def __call__(self, network: Network) -> np.ndarray:
        """``int32[n]``: the class of the largest logit, the first of equals."""
        graph, state = nnx.split(network)
        starts = range(0, len(self._images), self._batch)
        return np.concatenate(
            [np.asarray(self._ask(graph, state, self._images[i : i + self._batch])) for i in starts]
        )

    def compile(self, network: Network) -> None:
        """Make the program that such networks share, so that none is timed with it."""
        graph, state = nnx.split(network)
        self._ask(graph, state, self._images[: self._batch]).block_until_ready()

    def _classes(self, graph: nnx.GraphDef, state: nnx.State, images: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            logits = nnx.merge(graph, state)(self._normalisation(images))
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
