"""The logits of a network for images as they are stored."""

from functools import partial

import jax

from models.contract import Keeps, Network
from models.normalisation import Normalisation


@partial(jax.jit, static_argnames="normalisation")
def logits(
    network: Network, normalisation: Normalisation, images: jax.Array, keeps: Keeps | None = None
) -> jax.Array:
    """``float32[b, classes]`` of ``uint8[b, height, width, channels]``, under a mask if ``keeps`` are given.

    The process compiles one program for all networks of an architecture, and none for a mask.
    """
    return network(normalisation(images), keeps)
