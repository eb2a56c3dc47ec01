"""Which lowering evaluates a convolution fastest, by backend and shape.

Measured by ``experiments/benchmarks/convolution_lowering.py``; ``docs/benchmarks.md`` has the table. On CPU
(jaxlib 0.10.2, 2 AVX-512 cores, float32): patches with up to 4 input channels; minimal filtering for 3x3
kernels, at 1.9 to 2.6 times the speed of XLA's convolution, and 250 times on 2x2 maps, where XLA's falls
to 2 GFLOP/s. A GPU has cuDNN, which chooses for itself.
"""

import jax.numpy as jnp

from models.lowering.contract import Lowering
from models.lowering.direct import Direct
from models.lowering.patches import Patches
from models.lowering.winograd import Winograd
from models.stages import DType

FEW_CHANNELS = 4
"""Inputs of at most this many channels take the patches lowering on CPU."""


def choose(
    size: tuple[int, int], kernel: tuple[int, int], inputs: int, backend: str, precision: DType
) -> Lowering:
    """The lowering for a stride-1 'SAME' convolution.

    Args:
        size: height and width of the feature map.
        kernel: its rows and columns.
        inputs: channels that come in.
        backend: ``jax.default_backend()``.
        precision: type of the weights and activations.
    """
    if backend != "cpu":
        return Direct()
    if inputs <= FEW_CHANNELS and kernel[0] % 2 == 1 and kernel[1] % 2 == 1:
        return Patches()
    # The transforms cancel digits that bfloat16 does not have.
    if kernel == (3, 3) and precision == jnp.float32:
        return Winograd(*size)
    return Direct()
