"""A small DenseNet (arXiv:1608.06993): each layer's channels are concatenated to all before."""

import jax.numpy as jnp
from flax import nnx


class DenseLayer(nnx.Module):
    def __init__(self, inputs, growth, rngs):
        self.bn = nnx.BatchNorm(inputs, rngs=rngs)
        self.conv = nnx.Conv(inputs, growth, (3, 3), use_bias=False, rngs=rngs)

    def __call__(self, x):
        return jnp.concatenate([x, self.conv(nnx.relu(self.bn(x)))], axis=-1)


class DenseNet(nnx.Module):
    def __init__(self, rngs, growth=4):
        self.stem = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.block1 = nnx.List([DenseLayer(6 + i * growth, growth, rngs) for i in range(2)])
        self.transition = nnx.Conv(14, 7, (1, 1), rngs=rngs)
        self.block2 = nnx.List([DenseLayer(7 + i * growth, growth, rngs) for i in range(2)])
        self.bn = nnx.BatchNorm(15, rngs=rngs)
        self.head = nnx.Linear(15 * 2 * 2, 5, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        for layer in self.block1:
            x = layer(x)
        x = nnx.avg_pool(self.transition(nnx.relu(x)), (2, 2), (2, 2))
        for layer in self.block2:
            x = layer(x)
        x = nnx.avg_pool(nnx.relu(self.bn(x)), (4, 4), (4, 4))
        return self.head(x.reshape((x.shape[0], -1)))
