"""Folding what kept channels tell of removed ones into the weights that read them.

Behind a convolution's border lie zeros, not the constant: there the bias adds a little too much. What a shortcut
passes on needs nothing, since channels that are added to kept ones are kept themselves.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from models.compensation.compensation import Compensation
from models.compensation.moments import reader_name
from models.stages import Network, Reader, Stage
from models.state import arrays_of, set_arrays


def fold(
    kernel: jax.Array, bias: jax.Array, lost: jax.Array, matrix: jax.Array, constant: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The kernel and bias that read kept channels alone.

    Args:
        kernel: ``float32[..., positions * k, outputs]``, the rows of kept channels, channels fastest.
        bias: ``float32[outputs]``.
        lost: ``float32[..., positions * r, outputs]``, the rows of removed channels.
        matrix: ``float32[r, k]``; see :class:`models.compensation.coefficients.Coefficients`.
        constant: ``float32[r]``.
    """
    rows = lost.reshape(-1, len(constant), len(bias))
    highest = jax.lax.Precision.HIGHEST
    moved = jnp.einsum("rk,pro->pko", matrix, rows, precision=highest)
    shift = jnp.einsum("r,pro->o", constant, rows, precision=highest)
    return kernel + moved.reshape(kernel.shape), bias + shift


def compensated(network: Network, keeps: Mapping[str, np.ndarray], compensation: Compensation) -> Network:
    """The same network with weights that make up for the filters that ``keeps`` removes.

    Its logits under ``keeps`` are those of the compensated mask, and
    :func:`models.pruning.prune` cuts it as any other. Where nothing is removed no weight changes.

    Args:
        network: left as it is.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.
        compensation: with the moments of this network.
    """
    arrays = arrays_of(network)
    for stage in network.stages:
        for reader in stage.readers():
            if reader.group in keeps and not keeps[reader.group].all():
                _fold_into(arrays, stage, reader, keeps[reader.group], compensation)
    copy = network.architecture.blank()
    set_arrays(copy, arrays)
    return copy


def _fold_into(
    arrays: dict[str, np.ndarray], stage: Stage, reader: Reader, keep: np.ndarray, compensation: Compensation
) -> None:
    kernel_name, bias_name = (f"{stage.name}.{path}" for path in (reader.kernel, reader.bias))
    kernel = arrays[kernel_name]
    # Channels are fastest: one row of the mask for each position.
    rows = np.tile(keep, kernel.shape[-2] // len(keep))
    matrix, constant = compensation.coefficients(reader_name(stage, reader), keep)
    folded, bias = fold(
        jnp.asarray(kernel[..., rows, :]),
        jnp.asarray(arrays[bias_name]),
        jnp.asarray(kernel[..., ~rows, :]),
        jnp.asarray(matrix),
        jnp.asarray(constant),
    )
    kernel = kernel.copy()
    kernel[..., rows, :] = np.asarray(folded)
    arrays[kernel_name], arrays[bias_name] = kernel, np.asarray(bias)
