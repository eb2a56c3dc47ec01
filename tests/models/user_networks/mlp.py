"""A multilayer perceptron, as a user of Flax NNX writes it."""

import jax.numpy as jnp
from flax import nnx


class MLP(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(192, 24, rngs=rngs), nnx.Linear(24, 16, rngs=rngs)])
        self.bn = nnx.BatchNorm(24, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.out = nnx.Linear(16, 5, rngs=rngs)

    def __call__(self, x):
        x = jnp.reshape(x, (x.shape[0], -1))
        x = nnx.elu(self.bn(self.layers[0](x)))
        x = self.dropout(nnx.sigmoid(self.layers[1](x)))
        return self.out(x)
