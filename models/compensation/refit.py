"""Refits the remaining weights of a pruned network by least squares, layer after layer.

Every layer behind a removal gets the weights that bring its outputs closest to those in the original network.
Its inputs are those in the pruned network, with all layers in front of it refitted already, so it also corrects
the error that these leave. He et al. (ICCV 2017, arXiv:1707.06168) reconstruct layers from the pruned network's
own inputs; OSSCAR (Meng et al., ICML 2024, arXiv:2403.12983) solves for the full kernel by least squares. No
gradient and no label is used.

The weights of a layer depend on all slices in front of it, unlike those of :mod:`models.compensation.folding`,
and cost a pass of the images. A refit is therefore meant for the few masks that are exported.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models.arrays import arrays_of, put_stage_arrays, set_arrays, stage_arrays
from models.axes import check_keeps, rows
from models.compensation.patches import patches_at, places
from models.compensation.recalibration import Calibration, Recalibration
from models.contract import Keeps, Network, Reader, Stage
from models.errors import CompensationError
from models.normalisation import Normalisation

RIDGE = 1e-2
"""Penalty on the squared change of a weight, in units of the mean second moment of its input."""

PLACES = 8
"""Places of a feature map, drawn at random, whose outputs are fitted for each image."""

BATCH = 100
"""Images at a time; bounds the memory beyond the activations of all images between two stages."""


class _Problem(NamedTuple):
    """Normal equations of ``k`` inputs and a constant: ``float64[k + 1, k + 1]`` and ``[k + 1, outputs]``.

    Without the constant where no bias can hold it.
    """

    inputs: np.ndarray
    targets: np.ndarray


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
            between two stages are held, in both networks: 262 kB an image for 64 channels of 32x32.
        seed: of the places that are fitted.
        calibration: of the statistics of batch norms, which are measured behind each refitted layer, before the
            layers behind it are refitted; None: the statistics stay.

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
    reached = False
    for ideal, stage in zip(original.stages, result.stages, strict=True):
        for readers in _by_kernel(stage):
            reached |= any(reader.group in channels for reader in readers)
            if reached:
                problem = _gathered((ideal, wanted), (stage, given), readers[0], keeps, channels, sizes, rng)
                _solve(ideal, stage, readers[0], problem, channels, sizes)
                if recalibration is not None:
                    recalibration.measure(stage, final=False)
        if recalibration is not None:
            recalibration.measure(stage)
        wanted = [np.asarray(_forward(ideal, carry, {})) for carry in wanted]
        given = _masked_forward(stage, given, keeps) if reached else wanted
    return result


def _by_kernel(stage: Stage) -> list[list[Reader]]:
    """The readers of each kernel, which is fitted once."""
    found: dict[str, list[Reader]] = {}
    for reader in stage.readers():
        found.setdefault(reader.kernel, []).append(reader)
    return list(found.values())


def _batches(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]


def _masked_forward(stage: Stage, carries: list[np.ndarray], keeps: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    touched = {name: keep for name, keep in keeps.items() if name in (stage.reads, *stage.groups)}
    return [np.asarray(_forward(stage, carry, touched)) for carry in carries]


@jax.jit
def _forward(stage: Stage, carry: jax.Array, keeps: Keeps) -> jax.Array:
    return stage(carry, keeps)


@partial(jax.jit, static_argnames="kernel")
def _observed(stage: Stage, carry: jax.Array, keeps: Keeps, kernel: str) -> jax.Array:
    """What the kernel reads under ``keeps``, which are complete, so that one program serves all masks."""
    return stage.observe(carry, keeps)[kernel]


def _gathered(
    ideal: tuple[Stage, list[np.ndarray]],
    fitted: tuple[Stage, list[np.ndarray]],
    reader: Reader,
    keeps: Mapping[str, np.ndarray],
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    rng: np.random.Generator,
) -> _Problem:
    """The normal equations of a reader's kernel, summed over images and places.

    ``ideal``, ``fitted``: the stage in the original and in the pruned network, each with its carries.
    """
    aim, stage = ideal[0], fitted[0]
    outputs = rows(reader.outputs, sizes, channels)
    kernel = np.asarray(reader.layout.rows(stage_arrays(aim)[reader.kernel], sizes))
    kernel = kernel[..., outputs].reshape(-1, len(outputs))
    kept = rows(reader.rows, sizes, channels)
    whole = {name: np.ones(size, bool) for name, size in sizes.items()}
    sums: _Problem | None = None
    for carry, pruned in zip(ideal[1], fitted[1], strict=True):
        before = np.asarray(_observed(aim, carry, whole, reader.kernel))
        now = np.asarray(_observed(stage, pruned, {**whole, **keeps}, reader.kernel))[..., kept]
        chosen = places(before.shape, reader.sliding, PLACES, rng)
        targets = patches_at(before, reader.sliding, chosen) @ kernel
        inputs = patches_at(now, reader.sliding, chosen)
        if reader.bias is not None:
            inputs = np.concatenate([inputs, np.ones((len(inputs), 1), np.float32)], axis=1)
        products = _Problem(*((inputs.T @ part).astype(np.float64) for part in (inputs, targets)))
        sums = products if sums is None else _Problem(*(a + b for a, b in zip(sums, products, strict=True)))
    assert sums is not None
    if not all(np.isfinite(part).all() for part in sums):
        raise CompensationError(
            f"a refit needs finite activations, but {stage.name} reads infinite or NaN ones; repair the model, "
            "or leave out `refit`."
        )
    return sums


def _solve(
    aim: Stage,
    stage: Stage,
    reader: Reader,
    problem: _Problem,
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
) -> None:
    """Put the weights that solve the problem into the stage; ``aim`` is the stage in the original network."""
    arrays = stage_arrays(stage)
    weights = np.array(reader.layout.rows(arrays[reader.kernel], sizes))
    kept, outputs = rows(reader.rows, sizes, channels), rows(reader.outputs, sizes, channels)
    # Rows: inputs, channels fastest, then the constant.
    start = weights[..., kept, :][..., outputs].reshape(-1, len(outputs)).astype(np.float64)
    if reader.bias is not None:
        constant = _constant(aim, stage, reader, sizes)[outputs]
        start = np.concatenate([start, constant[None]])
    scale = np.mean(np.diagonal(problem.inputs)[: len(start) - (reader.bias is not None)])
    ridge = RIDGE * (scale if scale > 0 else 1.0)
    change = np.linalg.solve(
        problem.inputs + ridge * np.eye(len(start)), problem.targets - problem.inputs @ start
    )
    changed: dict[str, Any] = dict(arrays)
    if reader.bias is not None:
        bias, grown = np.array(arrays[reader.bias]), np.zeros(weights.shape[-1])
        grown[outputs] = change[-1]
        factor = np.asarray(reader.layout.factor(arrays, sizes))
        changed[reader.bias] = bias + (factor * grown).astype(np.float32).reshape(bias.shape)
        start, change = start[:-1], change[:-1]
    fitted = weights[..., kept, :]
    fitted[..., outputs] = (start + change).reshape(*weights.shape[:-2], len(kept), len(outputs))
    weights[..., kept, :] = fitted
    changed[reader.kernel] = reader.layout.stored(jnp.asarray(weights), sizes)
    put_stage_arrays(stage, changed)


def _constant(aim: Stage, stage: Stage, reader: Reader, sizes: Mapping[str, int]) -> np.ndarray:
    """How much larger the kernel's results are for the bias of ``stage`` than for the original one's."""
    assert reader.bias is not None, "readers without a bias have no constant"
    arrays, before = stage_arrays(stage), stage_arrays(aim)[reader.bias]
    factor = np.asarray(reader.layout.factor(arrays, sizes), np.float64)
    difference = np.asarray(arrays[reader.bias], np.float64) - np.asarray(before, np.float64)
    # Where the factor is 0, nothing that is added to the result has an effect.
    difference, factor = np.broadcast_arrays(difference.reshape(-1), factor)
    return np.divide(difference, factor, out=np.zeros(difference.shape), where=factor != 0)
