"""What a user's module holds beside its weights, such as the keys of dropout: no model directory has it."""

from typing import Any

import jax
from flax import nnx

from models.dependency.factories import factory


def make_random_states(network: Any, seed: int) -> None:
    """Give a module of the user's own that was read or pruned what its factory gives it beside its weights.

    Until then it has no more of these than their shapes. Any other network is left as it is.
    """
    others = nnx.Not(nnx.Any(nnx.Param, nnx.BatchStat))
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(nnx.state(network, others))):
        made = network.architecture
        shape, classes = made.input_shape, made.classes
        module = factory(made.name)(nnx.Rngs(seed), input_shape=shape, classes=classes)
        nnx.update(network.module, nnx.state(module, others))
