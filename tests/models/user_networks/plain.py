"""A plain convolutional network with dropout, as a user of Flax NNX writes it."""

from flax import nnx


class PlainCNN(nnx.Module):
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
