"""Convolutions in groups, depthwise ones that widen, and a sum with a concatenation, as users of Flax NNX write them."""

import jax.numpy as jnp
from flax import nnx


class GroupedCNN(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.narrow = nnx.Conv(6, 2, (1, 1), rngs=rngs)
        self.wide = nnx.Conv(6, 4, (3, 3), rngs=rngs)
        self.halves = nnx.Conv(6, 8, (3, 3), rngs=rngs)
        self.grouped = nnx.Conv(8, 8, (3, 3), strides=2, feature_group_count=2, rngs=rngs)
        self.before = nnx.Conv(8, 4, (1, 1), rngs=rngs)
        self.depthwise = nnx.Conv(4, 8, (3, 3), feature_group_count=4, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.head = nnx.Linear(8 * 4 * 4, 5, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        x = nnx.relu(x + jnp.concatenate([self.narrow(x), self.wide(x)], axis=-1))
        x = nnx.relu(self.grouped(nnx.tanh(self.halves(x))))
        x = nnx.relu(self.norm(self.depthwise(nnx.tanh(self.before(x)))))
        return self.head(x.reshape(x.shape[0], -1))
