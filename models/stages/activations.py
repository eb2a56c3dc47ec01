"""Activations by name, with the gain of the initialisation that suits them."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

ActivationName = Literal["relu", "tanh"]


class Activation(NamedTuple):
    """A function of an array, and the variance times fan-in that weights in front of it start with."""

    function: Callable[[jax.Array], jax.Array]
    gain: float


ACTIVATIONS: dict[ActivationName, Activation] = {
    # He et al. 2015, arXiv:1502.01852.
    "relu": Activation(jax.nn.relu, 2.0),
    # LeCun et al. 1998, "Efficient BackProp".
    "tanh": Activation(jnp.tanh, 1.0),
}
