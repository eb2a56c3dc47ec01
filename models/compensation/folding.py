"""Folds the predictions of removed channels into the weights that read them.

A convolution's padding holds zeros, not the constant of a prediction, so the bias adds a little too much at
borders. The shortcut of a residual block needs no folding where it is the carry itself: channels that are added
to kept channels are kept themselves. A shortcut that copies channels has no weights to fold into: a removed
channel is missing where it was added.

A kernel without a bias behind it that could hold a constant gets predictions without one; their coefficients are
fitted without one too (:func:`models.compensation.moments.gather_moments`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models.arrays import arrays_of, set_arrays, stage_arrays, take_or_zero
from models.axes import extent, places
from models.compensation.method import Compensation
from models.compensation.moments import reader_name
from models.contract import Network
from models.readers import Reader


class Prediction(NamedTuple):
    """Removed channels of a group as linear functions of the group's channels in the arrays of a stage.

    Attributes:
        removed: ``int32[r]`` channels; the group's size stands for none.
        matrix: ``float32[r, w + 1]``, the constants in the last column.
    """

    removed: np.ndarray
    matrix: Any


def lost_rows(reader: Reader, removed: np.ndarray, sizes: Mapping[str, int]) -> np.ndarray:
    """The rows ``int32[p * r]`` of a reader's whole kernel that read removed channels: ``p`` places of each.

    Args:
        reader: of a stage.
        removed: see :class:`Prediction`. Where it stands for none, the row is beyond the last.
        sizes: channels of each whole group.
    """
    indices = places(reader.rows, reader.group, sizes)
    beyond = np.full((len(indices), 1), extent(reader.rows, sizes))
    return np.concatenate([indices, beyond], axis=1)[:, removed].reshape(-1).astype(np.int32)


def folded(
    reader: Reader,
    arrays: Mapping[str, jax.Array],
    lost: jax.Array,
    widths: Mapping[str, int],
    prediction: Prediction,
) -> dict[str, jax.Array]:
    """The kernel and bias of a reader that read kept channels and include the predictions of removed ones.

    Args:
        reader: of a stage.
        arrays: of the stage by path, cut to some channels. The kernel's rows of other groups do not change.
        lost: the original kernel at :func:`lost_rows` and the outputs in ``arrays``, ``[..., p * r, outputs]``.
        widths: channels of each group in ``arrays``.
        prediction: of the removed channels.

    Returns:
        By path, of the shapes in ``arrays``.
    """
    removed = len(prediction.removed)
    lost = lost.reshape(-1, lost.shape[-2] // removed, removed, lost.shape[-1])
    moved = jnp.einsum("rk,tpro->tpko", prediction.matrix, lost, precision=jax.lax.Precision.HIGHEST)
    moved, shift = moved[:, :, :-1], moved[:, :, -1].sum((0, 1))
    kept = reader.layout.rows(arrays[reader.kernel], widths)
    moved = _in_rows(
        moved.reshape(*kept.shape[:-2], -1, kept.shape[-1]), places(reader.rows, reader.group, widths), kept
    )
    found = {reader.kernel: reader.layout.stored(kept + moved, widths)}
    if reader.bias is not None:
        bias = arrays[reader.bias]
        found[reader.bias] = bias + (reader.layout.factor(arrays, widths) * shift).reshape(bias.shape)
    return found


def _in_rows(moved: jax.Array, indices: np.ndarray, kernel: jax.Array) -> jax.Array:
    """Each row of ``[..., p * k, outputs]`` in its place ``int[p, k]`` among the kernel's rows, else zeros."""
    order = indices.reshape(-1)
    sources = np.full(kernel.shape[-2], len(order))
    sources[order] = np.arange(len(order))
    if np.array_equal(sources, np.arange(len(order))):
        return moved
    return take_or_zero(moved, jnp.asarray(sources), -2)


def compensated(network: Network, keeps: Mapping[str, np.ndarray], compensation: Compensation) -> Network:
    """A network whose weights compensate the filters that ``keeps`` removes.

    Its logits under ``keeps`` are those of the compensated mask. :func:`models.pruning.prune` cuts the result as
    usual. A layer that reads no removed filter keeps its weights.

    Args:
        network: left as it is.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.
        compensation: with the moments of this network.
    """
    arrays = arrays_of(network)
    sizes = {group.name: group.size for group in network.filter_groups}
    for stage in network.stages if compensation.regression is not None else ():
        original = {path: jnp.asarray(array) for path, array in stage_arrays(stage).items()}
        own = dict(original)
        for reader in stage.readers():
            keep = keeps.get(reader.group)
            if keep is not None and not keep.all():
                found = compensation.coefficients(reader_name(stage, reader), keep)
                matrix = np.zeros((len(found.constant), len(keep) + 1), np.float32)
                matrix[:, np.append(keep, False)] = found.matrix
                matrix[:, -1] = found.constant
                removed = np.flatnonzero(~keep)
                rows = reader.layout.rows(original[reader.kernel], sizes)
                lost = jnp.take(rows, lost_rows(reader, removed, sizes), axis=-2)
                own |= folded(reader, own, lost, sizes, Prediction(removed, matrix))
        for path, array in own.items():
            if array is not original[path]:
                arrays[f"{stage.name}.{path}"] = np.asarray(array)
    copy = network.architecture.blank()
    set_arrays(copy, arrays)
    return copy
