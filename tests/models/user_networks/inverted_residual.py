"""Inverted residuals with depthwise convolutions and squeeze-and-excitation, as in MobileNetV3."""

import jax
import jax.numpy as jnp
from flax import nnx


class InvertedResidual(nnx.Module):
    def __init__(self, inputs, hidden, outputs, stride, rngs):
        self.expand = nnx.Conv(inputs, hidden, (1, 1), use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(hidden, rngs=rngs)
        self.depthwise = nnx.Conv(
            hidden, hidden, (3, 3), strides=stride, feature_group_count=hidden, use_bias=False, rngs=rngs
        )
        self.bn2 = nnx.BatchNorm(hidden, rngs=rngs)
        self.squeeze = nnx.Linear(hidden, 4, rngs=rngs)
        self.excite = nnx.Linear(4, hidden, rngs=rngs)
        self.reduce = nnx.Conv(hidden, outputs, (1, 1), use_bias=False, rngs=rngs)
        self.bn3 = nnx.BatchNorm(outputs, rngs=rngs)
        self.same = stride == 1 and inputs == outputs

    def __call__(self, x):
        y = jax.nn.relu6(self.bn1(self.expand(x)))
        y = jax.nn.hard_swish(self.bn2(self.depthwise(y)))
        gate = nnx.sigmoid(self.excite(nnx.relu(self.squeeze(y.mean(axis=(1, 2))))))
        y = self.bn3(self.reduce(y * gate[:, None, None, :]))
        return x + y if self.same else y


class MobileNet(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 8, (3, 3), strides=2, rngs=rngs)
        self.blocks = nnx.Sequential(
            InvertedResidual(8, 12, 8, 1, rngs),
            InvertedResidual(8, 10, 6, 2, rngs),
            InvertedResidual(6, 12, 6, 1, rngs),
        )
        self.head = nnx.Linear(6, 5, rngs=rngs)

    def __call__(self, x):
        x = self.blocks(jax.nn.hard_swish(self.stem(x)))
        return self.head(jnp.mean(x, axis=(1, 2)))
