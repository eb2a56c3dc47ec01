"""A residual network with batch norm and projection shortcuts, as a user of Flax NNX writes it."""

import jax.numpy as jnp
from flax import nnx


class Block(nnx.Module):
    def __init__(self, inputs, filters, stride, rngs):
        self.conv1 = nnx.Conv(inputs, filters, (3, 3), strides=stride, use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(filters, rngs=rngs)
        self.conv2 = nnx.Conv(filters, filters, (3, 3), use_bias=False, rngs=rngs)
        self.bn2 = nnx.BatchNorm(filters, rngs=rngs)
        self.project = stride != 1 or inputs != filters
        if self.project:
            self.shortcut = nnx.Conv(inputs, filters, (1, 1), strides=stride, use_bias=False, rngs=rngs)
            self.shortcut_bn = nnx.BatchNorm(filters, rngs=rngs)

    def __call__(self, x):
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.project:
            x = self.shortcut_bn(self.shortcut(x))
        return nnx.relu(x + y)


class ResNet(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 6, (3, 3), use_bias=False, rngs=rngs)
        self.bn = nnx.BatchNorm(6, rngs=rngs)
        self.blocks = nnx.List([Block(6, 6, 1, rngs), Block(6, 10, 2, rngs), Block(10, 10, 1, rngs)])
        self.head = nnx.Linear(10, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.bn(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(x, axis=(1, 2)))
