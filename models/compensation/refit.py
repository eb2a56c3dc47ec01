"""Refits the remaining weights of a pruned network by least squares, layer after layer.

Every layer behind a removal gets the weights that bring the sum that its results go into closest to the sum in
the original network: the results with their bias, behind their batch norm, with a shortcut
(:class:`models.readers.Sum`). Its inputs are those in the pruned network, with all layers in front of it
refitted already. So it also corrects the error that these leave, and the error of the shortcut.

He et al. (ICCV 2017, arXiv:1707.06168) reconstruct layers from the pruned network's own inputs, and residual
units with the error of their shortcut; OSSCAR (Meng et al., ICML 2024, arXiv:2403.12983) solves for the full
kernel by least squares; Zhang et al. (2016, arXiv:1505.06798) fit what a ReLU lets through. No gradient and no
label is used.

The weights of a layer depend on all slices in front of it, unlike those of :mod:`models.compensation.folding`,
and cost a pass of the images. A refit is therefore meant for the few masks that are exported.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models.arrays import arrays_of, put_stage_arrays, set_arrays, stage_arrays
from models.axes import check_keeps, extent, groups_of, rows
from models.compensation.aims import Aim, RefitAims, by_kernel, sums_at
from models.compensation.least_squares import LeastSquares, solved
from models.compensation.patches import patches_at
from models.compensation.recalibration import Calibration, Recalibration
from models.contract import Keeps, Network, Stage
from models.errors import CompensationError
from models.readers import Reader


def refitted(
    aims: RefitAims,
    network: Network,
    keeps: Mapping[str, np.ndarray],
    *,
    calibration: Calibration | None = None,
) -> Network:
    """``network`` with weights that bring each layer under ``keeps`` closest to the aims.

    Weights that read removed channels, and layers that no removal reaches, stay as they are; a mask that removes
    nothing changes no weight. :func:`models.pruning.prune` then cuts the result.

    Args:
        aims: of the original network. The activations of their images between two stages are held, 262 kB an
            image for 64 channels of 32x32; in both networks, where the aims were not kept. What one kernel reads
            at the places that are fitted is held too: 18 kB an image for 3x3 windows of 64 channels.
        network: of the same architecture, with the initial weights: those of the original, or compensated weights
            (:func:`models.compensation.folding.compensated`). The ridge penalises changes of these.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.
        calibration: of the statistics of batch norms, which are measured behind each refitted layer, before the
            layers behind it are refitted; None: the statistics stay. A norm that a refitted sum is behind keeps
            its statistics, for which the weights were fitted.

    Raises:
        CompensationError: activations are infinite or NaN.
        PruningError: ``keeps`` do not fit.
    """
    sizes = {group.name: group.size for group in network.filter_groups}
    check_keeps(keeps, sizes)
    channels = {name: np.flatnonzero(keep) for name, keep in keeps.items() if not keep.all()}
    result = network.architecture.blank()
    set_arrays(result, arrays_of(network))
    if not channels:
        return result
    recalibration = None if calibration is None else Recalibration(result, keeps, calibration)
    carries = aims.batches()
    complete = {name: np.asarray(keeps.get(name, np.ones(size, bool))) for name, size in sizes.items()}
    reached = False
    for stage, wanted in zip(result.stages, aims, strict=True):
        fitted = []
        for reader in by_kernel(stage):
            reached |= any(group in channels for group in groups_of(reader.rows))
            if reached:
                fitted.append(reader)
        scales = {path for reader in fitted for path in reader.sum.scales}
        for reader in fitted:
            problem = _problem(stage, reader, wanted[reader.kernel], carries, complete, channels, sizes)
            _put(stage, reader, solved(problem), channels, sizes)
            if recalibration is not None:
                recalibration.measure(stage, final=False, kept=scales)
        if recalibration is not None:
            recalibration.measure(stage, kept=scales)
        carries = [np.asarray(_forward(stage, carry, complete)) for carry in carries]
    return result


def _problem(
    stage: Stage,
    reader: Reader,
    aim: Aim,
    carries: Iterable[np.ndarray],
    keeps: Keeps,
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
) -> LeastSquares:
    """The problem of a kernel of the pruned network; ``keeps`` are complete."""
    arrays = stage_arrays(stage)
    kept, outputs = rows(reader.rows, sizes, channels), rows(reader.outputs, sizes, channels)
    gain = np.asarray(reader.sum.gain(arrays, sizes), np.float64)
    gain = np.broadcast_to(gain, extent(reader.outputs, sizes))[outputs]
    kernel = np.asarray(reader.layout.rows(arrays[reader.kernel], sizes))[..., kept, :][..., outputs]
    kernel = (kernel * gain).astype(np.float32).reshape(-1, len(outputs))
    sums = [sums[:, outputs] for sums in aim.wanted]
    problem = LeastSquares([], sums, [], gain, reader.sum.rectified, reader.bias is not None)
    rest: np.ndarray | None = None
    for carry, chosen in zip(carries, aim.places, strict=True):
        maps = np.asarray(_observed(stage, carry, keeps, reader.kernel))[..., kept]
        inputs = patches_at(maps, reader.sliding, chosen)
        if rest is None:
            every = np.asarray(_summed(stage, carry, keeps, reader.kernel))
            present = sums_at(every, reader, maps.shape, chosen)[:, outputs]
            if reader.sum.alone:
                rest = np.mean(present - inputs @ kernel, axis=0)
        else:
            present = inputs @ kernel + rest
        if problem.constant:
            inputs = np.concatenate([inputs, np.ones((len(inputs), 1), np.float32)], axis=1)
        problem.inputs.append(inputs)
        problem.present.append(present)
    if not all(np.isfinite(part).all() for parts in problem[:3] for part in parts):
        raise CompensationError(
            f"a refit needs finite activations, but {stage.name} reads infinite or NaN ones; repair the model, "
            "or do without a refit."
        )
    return problem


@partial(jax.jit, static_argnames="kernel")
def _observed(stage: Stage, carry: jax.Array, keeps: Keeps, kernel: str) -> jax.Array:
    """What the kernel reads under ``keeps``, which are complete, so that one program serves all masks."""
    return stage.observe(carry, keeps)[kernel]


@partial(jax.jit, static_argnames="kernel")
def _summed(stage: Stage, carry: jax.Array, keeps: Keeps, kernel: str) -> jax.Array:
    """The sum that the kernel's results go into, as :func:`_observed`."""
    return stage.sums(carry, keeps)[kernel]


@jax.jit
def _forward(stage: Stage, carry: jax.Array, keeps: Keeps) -> jax.Array:
    return stage.evaluate(stage.prepare(stage_arrays(stage), jnp.float32), carry, keeps)


def _put(
    stage: Stage,
    reader: Reader,
    change: np.ndarray,
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
) -> None:
    """Change the weights of a stage by ``float64[k, outputs]``; the last row is the constant, if there is one."""
    arrays = stage_arrays(stage)
    weights = np.array(reader.layout.rows(arrays[reader.kernel], sizes))
    kept, outputs = rows(reader.rows, sizes, channels), rows(reader.outputs, sizes, channels)
    changed: dict[str, Any] = dict(arrays)
    if reader.bias is not None:
        bias, grown = np.array(arrays[reader.bias]), np.zeros(weights.shape[-1])
        grown[outputs] = change[-1]
        factor = np.asarray(reader.layout.factor(arrays, sizes))
        changed[reader.bias] = bias + (factor * grown).astype(np.float32).reshape(bias.shape)
        change = change[:-1]
    fitted = weights[..., kept, :]
    fitted[..., outputs] += change.reshape(*weights.shape[:-2], len(kept), len(outputs)).astype(weights.dtype)
    weights[..., kept, :] = fitted
    changed[reader.kernel] = reader.layout.stored(jnp.asarray(weights), sizes)
    put_stage_arrays(stage, changed)
