"""A convolution with its normalisation, activation and pooling, as one prunable stage."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from models.convolution import convolve, max_pool
from models.stages import Keeps, StageCost, silence

KERNEL = 3


class ConvolutionStage(nnx.Module):
    """3x3 'SAME' convolution -> [batch norm] -> ReLU -> keep -> [2x2 max pool].

    Carry: ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``.
    He initialisation (He et al. 2015, arXiv:1502.01852).
    """

    def __init__(
        self,
        name: str,
        inputs: int,
        filters: int,
        *,
        size: tuple[int, int],
        batch_norm: bool,
        pool: bool,
        rngs: nnx.Rngs,
    ):
        self.name = name
        self.groups = (name,)
        self.size = size
        self.filters = filters
        self.pool = pool
        self.convolution = nnx.Conv(
            inputs,
            filters,
            (KERNEL, KERNEL),
            padding="SAME",
            kernel_init=jax.nn.initializers.he_normal(),
            conv_general_dilated=convolve,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(filters, momentum=0.9, rngs=rngs) if batch_norm else None

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        outputs = self.convolution(carry)
        if self.norm is not None:
            outputs = self.norm(outputs, use_running_average=not training)
        outputs = silence(jax.nn.relu(outputs), keeps.get(self.name))
        return max_pool(outputs) if self.pool else outputs

    def cost(self, channels: np.ndarray, kept: Mapping[str, np.ndarray]) -> StageCost:
        """See :class:`models.stages.Stage`."""
        filters = kept[self.name]
        weights = KERNEL * KERNEL * channels * filters
        extras = 1 if self.norm is None else 3  # bias; scale and offset
        return StageCost(weights + extras * filters, weights * self.size[0] * self.size[1], filters)

    def sliced(self, channels: np.ndarray, keeps: Keeps) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """See :class:`models.stages.Stage`."""
        keep = keeps.get(self.name, np.ones(self.filters, bool))
        kernel = np.asarray(self.convolution.kernel[...])
        bias = self.convolution.bias
        assert bias is not None
        arrays = {
            "convolution.kernel": kernel[:, :, channels][..., keep],
            "convolution.bias": np.asarray(bias[...])[keep],
        }
        if self.norm is not None:
            for part in ("scale", "bias", "mean", "var"):
                arrays[f"norm.{part}"] = np.asarray(getattr(self.norm, part)[...])[keep]
        return arrays, keep
