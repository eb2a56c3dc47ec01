"""Networks as users of Flax NNX write them, and the shape of their images."""

import jax
import jax.numpy as jnp
from flax import nnx


class PlainCNN(nnx.Module):
    """A plain convolutional network with dropout."""

    def __init__(self, rngs):
        self.conv1 = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(8, 12, (3, 3), rngs=rngs)
        self.dropout1 = nnx.Dropout(0.25, rngs=rngs)
        self.linear1 = nnx.Linear(12 * 4 * 4, 20, rngs=rngs)
        self.dropout2 = nnx.Dropout(0.5, rngs=rngs)
        self.linear2 = nnx.Linear(20, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(nnx.relu(self.conv1(x)), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.silu(self.conv2(x)), (2, 2), (2, 2), padding="SAME")
        x = self.dropout1(x)
        x = x.reshape(x.shape[0], -1)
        x = self.dropout2(nnx.gelu(self.linear1(x)))
        return self.linear2(x)


class MLP(nnx.Module):
    """A multilayer perceptron."""

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


class GroupedCNN(nnx.Module):
    """Grouped convolutions, depthwise ones that widen, and a sum with a concatenation."""

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
    """Batch norm and projection shortcuts."""

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


class DenseLayer(nnx.Module):
    def __init__(self, inputs, growth, rngs):
        self.bn = nnx.BatchNorm(inputs, rngs=rngs)
        self.conv = nnx.Conv(inputs, growth, (3, 3), use_bias=False, rngs=rngs)

    def __call__(self, x):
        return jnp.concatenate([x, self.conv(nnx.relu(self.bn(x)))], axis=-1)


class DenseNet(nnx.Module):
    """A small DenseNet (arXiv:1608.06993): each layer concatenates its channels to its input."""

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
    """Inverted residuals with depthwise convolutions and squeeze-and-excitation, as in MobileNetV3."""

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


class ShuffleUnit(nnx.Module):
    def __init__(self, channels, rngs):
        half = channels // 2
        self.expand = nnx.Conv(half, half, (1, 1), use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(half, rngs=rngs)
        self.depthwise = nnx.Conv(half, half, (3, 3), feature_group_count=half, use_bias=False, rngs=rngs)
        self.bn2 = nnx.BatchNorm(half, rngs=rngs)
        self.reduce = nnx.Conv(half, half, (1, 1), rngs=rngs)

    def __call__(self, x):
        kept, x = jnp.split(x, 2, axis=-1)
        x = self.bn2(self.depthwise(nnx.relu(self.bn1(self.expand(x)))))
        x = jnp.concatenate([kept, nnx.relu(self.reduce(x))], axis=-1)
        parts = jnp.reshape(x, (*x.shape[:3], 2, x.shape[3] // 2))
        return jnp.reshape(jnp.transpose(parts, (0, 1, 2, 4, 3)), x.shape)


class ShuffleNet(nnx.Module):
    """Two units of a ShuffleNet V2 (arXiv:1807.11164)."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 12, (3, 3), strides=2, rngs=rngs)
        self.units = nnx.List([ShuffleUnit(12, rngs), ShuffleUnit(12, rngs)])
        self.head = nnx.Linear(12, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.stem(x))
        for unit in self.units:
            x = unit(x)
        return self.head(jnp.mean(x, axis=(1, 2)))


INPUT_SHAPES = {
    PlainCNN: (16, 16, 3),
    ResNet: (8, 8, 3),
    DenseNet: (16, 16, 3),
    MobileNet: (16, 16, 3),
    MLP: (8, 8, 3),
    GroupedCNN: (8, 8, 3),
    ShuffleNet: (8, 8, 3),
}
NETWORKS = tuple(INPUT_SHAPES)
