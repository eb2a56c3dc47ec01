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

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models.arrays import arrays_of, put_stage_arrays, set_arrays, stage_arrays
from models.axes import check_keeps, extent, groups_of, rows
from models.compensation.least_squares import Problem, solved
from models.compensation.patches import patches_at, places
from models.compensation.recalibration import Calibration, Recalibration
from models.contract import Keeps, Network, Stage
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.readers import Reader

PLACES = 8
"""Places of a feature map, drawn at random, whose outputs are fitted for each image."""

BATCH = 100
"""Images at a time; bounds the memory beyond the activations of all images between two stages."""


def refitted(
    original: Network,
    network: Network,
    keeps: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    images: np.ndarray,
    seed: int = 0,
    *,
    calibration: Calibration | None = None,
) -> Network:
    """``network`` with weights that bring each layer under ``keeps`` closest to the original's.

    Weights that read removed channels, and layers that no removal reaches, stay as they are; a mask that removes
    nothing changes no weight. :func:`models.pruning.prune` then cuts the result.

    Args:
        original: gives the outputs to reach; left as it is.
        network: of the same architecture, with the initial weights: those of ``original``, or compensated weights
            (:func:`models.compensation.folding.compensated`). The ridge penalises changes of these.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.
        normalisation: of the images.
        images: ``uint8[n, height, width, channels]``, of the training split. The activations of all images
            between two stages are held, in both networks: 262 kB an image for 64 channels of 32x32. So is what
            one kernel reads at the places that are fitted: 18 kB an image for 3x3 windows of 64 channels.
        seed: of the places that are fitted.
        calibration: of the statistics of batch norms, which are measured behind each refitted layer, before the
            layers behind it are refitted; None: the statistics stay. A norm that a refitted sum is behind keeps
            its statistics, for which the weights were fitted.

    Raises:
        CompensationError: the network's stages list no readers, there are no images, or activations are infinite
            or NaN.
        PruningError: ``keeps`` do not fit.
    """
    sizes = {group.name: group.size for group in original.filter_groups}
    check_keeps(keeps, sizes)
    channels = {name: np.flatnonzero(keep) for name, keep in keeps.items() if not keep.all()}
    result = network.architecture.blank()
    set_arrays(result, arrays_of(network))
    if not channels:
        return result
    if not any(stage.readers() for stage in original.stages):
        raise CompensationError(
            f"{original.architecture.name} cannot be refitted: it has no weights that are known to read its "
            "filters; leave out `refit`."
        )
    if len(images) == 0:
        raise CompensationError("a refit needs images of the training split; give it one or more.")
    rng = np.random.default_rng(seed)
    recalibration = None if calibration is None else Recalibration(result, keeps, calibration)
    wanted = [np.asarray(normalisation(jnp.asarray(batch))) for batch in _batches(images)]
    given = list(wanted)
    complete = {name: np.asarray(keeps.get(name, np.ones(size, bool))) for name, size in sizes.items()}
    reached = False
    for ideal, stage in zip(original.stages, result.stages, strict=True):
        fitted = []
        for reader in _by_kernel(stage):
            reached |= any(group in channels for group in groups_of(reader.rows))
            if reached:
                fitted.append(reader)
        scales = {path for reader in fitted for path in reader.sum.scales}
        aims, wanted = _aims(ideal, fitted, wanted, channels, sizes, rng)
        for reader, aim in zip(fitted, aims, strict=True):
            problem = _problem(stage, reader, aim, given, complete, channels, sizes)
            _put(stage, reader, solved(problem), channels, sizes)
            if recalibration is not None:
                recalibration.measure(stage, final=False, kept=scales)
        if recalibration is not None:
            recalibration.measure(stage, kept=scales)
        given = [np.asarray(_forward(stage, carry, complete)) for carry in given] if reached else wanted
    return result


def _by_kernel(stage: Stage) -> list[Reader]:
    """A reader of each kernel, which is fitted once."""
    return list({reader.kernel: reader for reader in stage.readers()}.values())


def _batches(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]


class _Aim(NamedTuple):
    """The sums that a kernel's results should go into, a batch of images each.

    Attributes:
        places: that are fitted: ``int64[b, k, axes]``.
        wanted: the sums there in the original network: ``float32[b * k, outputs]``.
    """

    places: list[np.ndarray]
    wanted: list[np.ndarray]


def _aims(
    stage: Stage,
    readers: Sequence[Reader],
    carries: Iterable[np.ndarray],
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    rng: np.random.Generator,
) -> tuple[list[_Aim], list[np.ndarray]]:
    """The aims of a stage of the original network, and the carries behind the stage."""
    aims = [_Aim([], []) for _ in readers]
    passed = []
    for carry in carries:
        observed, sums, behind = _original(stage, carry, tuple(reader.kernel for reader in readers))
        passed.append(np.asarray(behind))
        for reader, aim in zip(readers, aims, strict=True):
            outputs = rows(reader.outputs, sizes, channels)
            maps = np.asarray(observed[reader.kernel])
            chosen = places(maps.shape, reader.sliding, PLACES, rng)
            aim.places.append(chosen)
            aim.wanted.append(_at(np.asarray(sums[reader.kernel])[..., outputs], reader, maps, chosen))
    return aims, passed


def _problem(
    stage: Stage,
    reader: Reader,
    aim: _Aim,
    carries: Iterable[np.ndarray],
    keeps: Keeps,
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
) -> Problem:
    """The problem of a kernel of the pruned network; ``keeps`` are complete."""
    arrays = stage_arrays(stage)
    kept, outputs = rows(reader.rows, sizes, channels), rows(reader.outputs, sizes, channels)
    gain = np.asarray(reader.sum.gain(arrays, sizes), np.float64)
    gain = np.broadcast_to(gain, extent(reader.outputs, sizes))[outputs]
    kernel = np.asarray(reader.layout.rows(arrays[reader.kernel], sizes))[..., kept, :][..., outputs]
    kernel = (kernel * gain).astype(np.float32).reshape(-1, len(outputs))
    problem = Problem([], aim.wanted, [], gain, reader.sum.rectified, reader.bias is not None)
    rest: np.ndarray | None = None
    for carry, chosen in zip(carries, aim.places, strict=True):
        maps = np.asarray(_observed(stage, carry, keeps, reader.kernel))[..., kept]
        inputs = patches_at(maps, reader.sliding, chosen)
        if rest is None:
            present = _at(
                np.asarray(_summed(stage, carry, keeps, reader.kernel))[..., outputs], reader, maps, chosen
            )
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
            "or leave out `refit`."
        )
    return problem


@partial(jax.jit, static_argnames="kernels")
def _original(
    stage: Stage, carry: jax.Array, kernels: tuple[str, ...]
) -> tuple[dict[str, jax.Array], dict[str, jax.Array], jax.Array]:
    """What the kernels read, the sums that their results go into, and the carry behind the stage."""
    observed, sums = stage.observe(carry, {}), stage.sums(carry, {})
    return (
        {kernel: observed[kernel] for kernel in kernels},
        {kernel: sums[kernel] for kernel in kernels},
        stage(carry, {}),
    )


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


def _at(sums: np.ndarray, reader: Reader, maps: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The sums at the places that a reader's kernel reaches from ``maps``: ``float32[b * k, outputs]``."""
    sums = sums.reshape(len(maps), *reader.sliding.outputs(maps.shape[1:-1]), sums.shape[-1])
    images = np.arange(len(maps))[:, None]
    return sums[(images, *np.moveaxis(chosen, -1, 0))].reshape(-1, sums.shape[-1])


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
