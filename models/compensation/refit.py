"""Kept filters make up for removed ones as well as a layer's weights can: least squares, layer after layer.

Every layer that reads what removals have changed gets the weights with which it comes closest to what it computed
in the original network, from what really reaches it: its own inputs in the pruned network, with all layers in
front of it refitted already. So it also makes up for what these could not mend. Reconstruction of layers from the
pruned network's own inputs is that of He et al. (ICCV 2017, arXiv:1707.06168); the full kernel by least squares
that of OSSCAR (Meng et al., ICML 2024, arXiv:2403.12983). There is no gradient, nor a label.

The weights of a layer depend on all slices in front of it, not on its own alone as those of
:mod:`models.compensation.folding` do, and cost a pass of the images: this is for the few masks that leave.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models.compensation.patches import patches_at, places
from models.cutting import check_keeps, cut
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.stages import Network, Reader, Stage, silence
from models.state import arrays_of, put_stage_arrays, set_arrays, stage_arrays

RIDGE = 1e-2
"""Penalty on the squared change of a weight, in units of the mean second moment of what it multiplies."""

PLACES = 8
"""Of a feature map, at most, whose outputs are fitted for each image; drawn at random."""

BATCH = 100
"""Images at a time; bounds the memory beside the activations of all images between two stages."""


class _Problem(NamedTuple):
    """Normal equations of ``k`` inputs, a constant, outputs: ``float64[k + 1, k + 1]``, ``[k + 1, o]``."""

    inputs: np.ndarray
    targets: np.ndarray


def refitted(
    original: Network,
    network: Network,
    keeps: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    images: np.ndarray,
    seed: int = 0,
) -> Network:
    """``network`` with weights that bring each layer under ``keeps`` closest to the original's.

    What they multiply of removed channels stays as it is, and layers that no removal reaches are left alone, so a
    mask that removes nothing changes no weight. :func:`models.pruning.prune` cuts the result as any other.

    Args:
        original: whose layers' outputs are aimed at; left as it is.
        network: of the same architecture, with the weights to begin with: those of ``original``, or compensated
            ones (:func:`models.compensation.folding.compensated`). From these the ridge counts changes.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.
        normalisation: of the images.
        images: ``uint8[n, height, width, channels]``, of the training split. Activations of all of them between
            two stages are held, in both networks: 262 kB an image for 64 channels of 32x32.
        seed: of the places that are fitted.

    Raises:
        CompensationError: the network does not tell what reads its filters, there are no images, or activations
            are infinite or NaN.
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
            f"{original.architecture.name} cannot be refitted: its layers do not tell which weights read the "
            "filters that may go, as layers of --model-class never do; leave out --refit."
        )
    if len(images) == 0:
        raise CompensationError("a refit needs images of the training split; give it one or more.")
    rng = np.random.default_rng(seed)
    wanted = [np.asarray(normalisation(jnp.asarray(batch))) for batch in _batches(images)]
    given = list(wanted)
    reached = False
    for ideal, stage in zip(original.stages, result.stages, strict=True):
        for reader in stage.readers():
            reached |= reader.group in channels
            if reached:
                problem = _gathered((ideal, wanted), (stage, given), reader, keeps, channels, sizes, rng)
                _solve(stage, reader, problem, channels, sizes)
        wanted = _advanced(ideal, wanted, {})
        given = _advanced(stage, given, keeps) if reached else wanted
    return result


def _batches(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]


def _advanced(stage: Stage, carries: list[np.ndarray], keeps: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    onward = jax.jit(lambda weights, carry: weights(carry, keeps))
    return [np.asarray(onward(stage, jnp.asarray(carry))) for carry in carries]


def _gathered(
    ideal: tuple[Stage, list[np.ndarray]],
    fitted: tuple[Stage, list[np.ndarray]],
    reader: Reader,
    keeps: Mapping[str, np.ndarray],
    channels: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    rng: np.random.Generator,
) -> _Problem:
    """Sums over images and places of products of what the reader sees under ``keeps`` with what it shall give."""
    aim, stage = ideal[0], fitted[0]
    arrays = stage_arrays(aim)
    kernel, bias = (np.asarray(arrays[path]) for path in (reader.kernel, reader.bias))
    outputs = cut(np.arange(bias.size), aim.specs()[reader.bias], sizes, channels)
    kernel, bias = kernel[..., outputs].reshape(-1, len(outputs)), bias[outputs]
    kept = channels.get(reader.group, np.arange(sizes[reader.group]))
    seen = jax.jit(lambda weights, carry: weights.observe(carry)[reader.kernel])
    reached = jax.jit(
        lambda weights, carry: weights.observe(silence(carry, keeps, weights.reads))[reader.kernel][..., kept]
    )
    sums: _Problem | None = None
    for carry, pruned in zip(ideal[1], fitted[1], strict=True):
        before, now = np.asarray(seen(aim, carry)), np.asarray(reached(stage, pruned))
        chosen = places(before.shape, reader.window, PLACES, rng)
        targets = patches_at(before, reader.window, chosen) @ kernel + bias
        inputs = patches_at(now, reader.window, chosen)
        inputs = np.concatenate([inputs, np.ones((len(inputs), 1), np.float32)], axis=1)
        products = _Problem(*((inputs.T @ part).astype(np.float64) for part in (inputs, targets)))
        sums = products if sums is None else _Problem(*(a + b for a, b in zip(sums, products, strict=True)))
    assert sums is not None
    if not all(np.isfinite(part).all() for part in sums):
        raise CompensationError(
            f"a refit needs finite activations and those that {stage.name} reads are not; repair the model, or "
            "leave out --refit."
        )
    return sums


def _solve(
    stage: Stage, reader: Reader, problem: _Problem, channels: Mapping[str, np.ndarray], sizes: Mapping[str, int]
) -> None:
    """Put the weights that solve it into the stage."""
    specs, arrays = stage.specs(), stage_arrays(stage)
    kernel, bias = (np.asarray(arrays[path]) for path in (reader.kernel, reader.bias))
    kept = cut(np.arange(kernel.size).reshape(kernel.shape), specs[reader.kernel], sizes, channels)
    outputs = cut(np.arange(bias.size), specs[reader.bias], sizes, channels)
    weights, offsets = kernel.reshape(-1).copy(), bias.copy()
    # Rows of inputs, channels fastest, then the constant.
    start = np.concatenate([weights[kept].reshape(-1, len(outputs)), offsets[outputs][None]]).astype(np.float64)
    scale = np.mean(np.diagonal(problem.inputs)[:-1])
    ridge = RIDGE * (scale if scale > 0 else 1.0)
    change = np.linalg.solve(
        problem.inputs + ridge * np.eye(len(start)), problem.targets - problem.inputs @ start
    )
    weights[kept] = (start + change)[:-1].astype(np.float32).reshape(kept.shape)
    offsets[outputs] = (start + change)[-1].astype(np.float32)
    put_stage_arrays(stage, {**arrays, reader.kernel: weights.reshape(kernel.shape), reader.bias: offsets})
