"""A small residual network with tied channels, batch norm and a stride-1 shortcut: a chain that is not plain."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx

from models.axes import ArraySpec, Axis
from models.contract import FilterGroup, run_chain, silence
from models.readers import Reader, Sum, unit_gain
from models.windows import Window


def convolution(inputs, filters, rngs):
    return nnx.Conv(inputs, filters, (3, 3), padding="SAME", rngs=rngs)


def convolve(arrays, name, carry):
    numbers = ("NHWC", "HWIO", "NHWC")
    kernel = arrays[f"{name}.kernel"]
    outputs = jax.lax.conv_general_dilated(carry, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    return outputs + arrays[f"{name}.bias"]


class Stem(nnx.Module):
    """3x3 convolution into the tied channels."""

    def __init__(self, filters, rngs):
        self.name, self.reads, self.groups, self.writes = "stem", None, (), "tied"
        self.convolution = convolution(2, filters, rngs)

    def specs(self):
        return {
            "convolution.kernel": ArraySpec((3, 3, 2, Axis("tied")), uses=64),
            "convolution.bias": ArraySpec((Axis("tied"),)),
        }

    def readers(self):
        return ()

    def norms(self):
        return ()

    def maps(self, carry):
        return {"tied": [self(carry, {})]}

    def observe(self, carry, keeps):
        return {}

    def sums(self, carry, keeps):
        return {}

    def __call__(self, carry, keeps, *, training=False, rngs=None):
        return jax.nn.relu(self.convolution(carry))

    def prepare(self, arrays, precision):
        return {path: array.astype(precision) for path, array in arrays.items()}

    def evaluate(self, prepared, carry, keeps):
        return jax.nn.relu(convolve(prepared, "convolution", carry))


class Block(nnx.Module):
    """Two convolutions, inner channels of their own, added to the tied ones."""

    def __init__(self, number, filters, inner, rngs):
        self.name, self.inner = f"block{number}", f"inner{number}"
        self.reads, self.groups, self.writes = "tied", (self.inner,), "tied"
        self.first = convolution(filters, inner, rngs)
        self.second = convolution(inner, filters, rngs)

    def specs(self):
        tied, inner = Axis("tied"), Axis(self.inner)
        return {
            "first.kernel": ArraySpec((3, 3, tied, inner), uses=64),
            "first.bias": ArraySpec((inner,)),
            "second.kernel": ArraySpec((3, 3, inner, tied), uses=64),
            "second.bias": ArraySpec((tied,)),
        }

    def readers(self):
        window = Window((3, 3))
        tied, inner = Axis("tied"), Axis(self.inner)
        added = Sum(unit_gain, rectified=True, alone=False)
        first = Reader("tied", "first.kernel", "first.bias", tied, inner, window.sliding)
        return (first, Reader(self.inner, "second.kernel", "second.bias", inner, tied, window.sliding, sum=added))

    def norms(self):
        return ()

    def maps(self, carry):
        return {self.inner: [jax.nn.relu(self.first(carry))], "tied": [self(carry, {})]}

    def observe(self, carry, keeps):
        carry = silence(carry, keeps, "tied")
        return {"first.kernel": carry, "second.kernel": jax.nn.relu(self.first(carry))}

    def sums(self, carry, keeps):
        carry = silence(carry, keeps, "tied")
        first = self.first(carry)
        second = self.second(silence(jax.nn.relu(first), keeps, self.inner))
        return {"first.kernel": first, "second.kernel": carry + second}

    def __call__(self, carry, keeps, *, training=False, rngs=None):
        carry = silence(carry, keeps, "tied")
        hidden = silence(jax.nn.relu(self.first(carry)), keeps, self.inner)
        return jax.nn.relu(carry + self.second(hidden))

    def prepare(self, arrays, precision):
        return {path: array.astype(precision) for path, array in arrays.items()}

    def evaluate(self, prepared, carry, keeps):
        carry = silence(carry, keeps, "tied")
        hidden = silence(jax.nn.relu(convolve(prepared, "first", carry)), keeps, self.inner)
        return jax.nn.relu(carry + convolve(prepared, "second", hidden))


class Head(nnx.Module):
    """Global average pool and a dense layer."""

    def __init__(self, filters, rngs):
        self.name, self.reads, self.groups, self.writes = "head", "tied", (), None
        self.dense = nnx.Linear(filters, 3, rngs=rngs)

    def specs(self):
        return {"dense.kernel": ArraySpec((Axis("tied"), 3), uses=1), "dense.bias": ArraySpec((3,))}

    def readers(self):
        return (Reader("tied", "dense.kernel", "dense.bias", Axis("tied"), 3),)

    def norms(self):
        return ()

    def maps(self, carry):
        return {}

    def observe(self, carry, keeps):
        return {"dense.kernel": carry.mean((1, 2))}

    def sums(self, carry, keeps):
        return {"dense.kernel": self(carry, keeps)}

    def __call__(self, carry, keeps, *, training=False, rngs=None):
        return self.dense(silence(carry, keeps, "tied").mean((1, 2)))

    def prepare(self, arrays, precision):
        return {path: array.astype(precision) for path, array in arrays.items()}

    def evaluate(self, prepared, carry, keeps):
        pooled = silence(carry, keeps, "tied").mean((1, 2))
        return (pooled @ prepared["dense.kernel"] + prepared["dense.bias"]).astype(jnp.float32)


@dataclass(frozen=True)
class ResidualArchitecture:
    """``tied`` channels throughout, ``inner`` ones of each block."""

    tied: int = 6
    inner: tuple[int, ...] = (5, 4)
    input_shape: tuple[int, int, int] = (8, 8, 2)
    name: str = "residual"

    def with_widths(self, widths):
        inner = tuple(widths.get(f"inner{i}", width) for i, width in enumerate(self.inner, 1))
        return replace(self, tied=widths.get("tied", self.tied), inner=inner)

    def build(self, seed=0):
        return Residual(self, nnx.Rngs(seed))

    def blank(self):
        return nnx.eval_shape(lambda: Residual(self, nnx.Rngs(0)))


class Residual(nnx.Module):
    """Stem, blocks, head."""

    def __init__(self, architecture, rngs):
        self.architecture = architecture
        tied = architecture.tied
        blocks = [Block(i, tied, inner, rngs) for i, inner in enumerate(architecture.inner, 1)]
        self.stages = nnx.List([Stem(tied, rngs), *blocks, Head(tied, rngs)])
        groups = [FilterGroup("tied", tied, "convolution")]
        groups += [
            FilterGroup(block.inner, width, "convolution")
            for block, width in zip(blocks, architecture.inner, strict=True)
        ]
        self.filter_groups = tuple(groups)

    def __call__(self, inputs, keeps=None, *, training=False, rngs=None):
        return run_chain(self.stages, inputs, keeps, training=training, rngs=rngs)
