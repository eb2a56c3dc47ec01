"""Which lowering evaluates a convolution fastest, by backend and shape.

Measured by ``experiments/benchmarks/convolution_lowering.py``; ``docs/benchmarks.md`` has the table. On CPU
(jaxlib 0.10.2, 2 AVX-512 cores, float32) minimal filtering computes 3x3 kernels at 1.8 to 2.4 times the speed of
XLA's convolution, and at 200 times on 2x2 maps, where XLA's falls to 2 GFLOP/s; below 24 channels its
transforms cost more than they save. A GPU has cuDNN, which chooses for itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp

from models.contract import DType
from models.lowering.contract import Lowering
from models.lowering.direct import Direct
from models.lowering.winograd import Winograd
from models.windows import Window

_TARGET: ContextVar[str | None] = ContextVar("target", default=None)

MANY_CHANNELS = 24
"""Transforms pay for inputs of at least this many channels."""
SMALL_MAP = 4
"""On feature maps of at most this many positions, transforms pay for any number of channels."""


def choose(size: tuple[int, int], window: Window, inputs: int, backend: str, precision: DType) -> Lowering:
    """The lowering for a convolution.

    Args:
        size: height and width of the input.
        window: kernel, stride and padding.
        inputs: channels of the input.
        backend: :func:`target`.
        precision: type of the weights and activations.
    """
    # The transforms cancel digits that bfloat16 does not have.
    possible = backend == "cpu" and window == Window((3, 3)) and precision == jnp.float32
    if possible and (inputs >= MANY_CHANNELS or size[0] * size[1] <= SMALL_MAP):
        return Winograd(*size)
    return Direct(window.stride, window.padding)


def target() -> str:
    """The backend that a program is traced for: ``cpu``, ``gpu`` or ``tpu``; this process's unless set."""
    return _TARGET.get() or jax.default_backend()


@contextmanager
def traced_for(backend: str) -> Iterator[None]:
    """Programs traced within take the lowerings of ``backend``, to be exported."""
    token = _TARGET.set(backend)
    try:
        yield
    finally:
        _TARGET.reset(token)
