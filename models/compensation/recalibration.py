"""Batch norm's statistics for a pruned network, measured anew on calibration images.

The statistics of a batch norm belong to the original network. Behind a removal, its input has another mean and
another variance: regression on the kept channels keeps means and loses variance, layer after layer. Here each
batch norm that a removal reaches gets statistics for its present input, front to back, so that each one is
measured behind the measured ones in front of it (EagleEye, Li et al., ECCV 2020, arXiv:2007.02491; REPAIR,
Jordan et al., ICLR 2023, arXiv:2211.08403). Scale and offset stay. No gradient and no label is used.

The statistics are chosen so that the norm's output has, channel by channel, the mean and variance that it has in
the unpruned network on the same images. Where these images are such as the network was trained on, this is the
mean and variance of its input. Where they are others, the network's own statistics still hold, and a mask that
removes little changes little. Both moments come from the same images, so that few images suffice.

The statistics of a stage depend on the slices in front of it and within it alone, so masks share them as they
share activations.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from models.arrays import arrays_of, put_stage_arrays, set_arrays, stage_arrays
from models.contract import DType, Keeps, Matching, Network, Norm, NormedStage, Stage
from models.normalisation import Normalisation

_FLOOR = 1e-3
"""Part of the stored variance that is added to both variances of a ratio, so that dead channels stay."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The images on which statistics are measured, all at a time.

    Attributes:
        images: ``uint8[n, height, width, channels]``, of the training split.
        normalisation: of the images.
        matchings: of each norm, by ``STAGE.PATH`` of its mean.
    """

    images: np.ndarray
    normalisation: Normalisation
    matchings: Mapping[str, Matching]

    @classmethod
    def of(cls, network: Network, images: np.ndarray, normalisation: Normalisation) -> "Calibration":
        """The calibration of an unpruned network, whose own moments are measured first."""
        stages = list(network.stages)
        last = max((number for number, stage in enumerate(stages, 1) if stage.norms()), default=0)
        carry = normalisation(jnp.asarray(images))
        matchings = {}
        for stage in stages[:last]:
            found, carry = _calibrate(stage, carry, {}, stage.norms(), None)
            arrays = stage_arrays(stage)
            for norm in stage.norms():
                stored, seen = (
                    [np.asarray(part[path], np.float64) for path in norm[:2]] for part in (arrays, found)
                )
                matchings[f"{stage.name}.{norm.mean}"] = _matching(*stored, *seen)
        return cls(images, normalisation, matchings)

    def within(self, stage: Stage) -> dict[str, Matching]:
        """The matchings of a stage, by the path of the mean."""
        return {norm.mean: self.matchings[f"{stage.name}.{norm.mean}"] for norm in stage.norms()}

    def digest(self) -> str:
        """SHA-256 of the images."""
        shape = f"{self.images.dtype.str}{self.images.shape}"
        return hashlib.sha256(shape.encode() + np.ascontiguousarray(self.images).tobytes()).hexdigest()


def _matching(
    mean: np.ndarray, variance: np.ndarray, seen_mean: np.ndarray, seen_variance: np.ndarray
) -> Matching:
    """From the stored statistics of a norm and the moments of its input in the unpruned network."""
    whole = seen_variance + _FLOOR * variance
    alive = (whole > 0) & (variance > 0)
    scale = np.where(alive, variance / np.where(alive, whole, 1), 1)
    least = np.where(alive, scale * _FLOOR * variance, 0)
    shift = np.where(alive, (seen_mean - mean) / np.sqrt(np.where(alive, variance, 1)), 0)
    return Matching(*(part.astype(np.float32) for part in (scale, least, shift)))


def has_norms(network: Network) -> bool:
    """Whether there is anything to measure."""
    return any(stage.norms() for stage in network.stages)


def reached(stages: Iterable[Stage], removed: Set[str]) -> list[tuple[Norm, ...]]:
    """For each stage of a chain, the norms whose input changes; the others keep their statistics.

    ``removed``: the groups that lose a channel.
    """
    found, changed = [], False
    for stage in stages:
        norms = stage.norms()
        found.append(tuple(norm for norm in norms if changed or not removed.isdisjoint(norm.groups)))
        changed |= any(group in removed for group in (stage.reads, *stage.groups))
    return found


def calibrate(
    stage: Stage,
    arrays: Mapping[str, jax.Array],
    precision: DType,
    carry: jax.Array,
    keeps: Keeps,
    measured: Collection[Norm],
    matchings: Mapping[str, Matching] | None,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """As :meth:`models.contract.NormedStage.calibrate`, for any stage; nothing is measured where no norm is."""
    if measured:
        return cast(NormedStage, stage).calibrate(arrays, precision, carry, keeps, measured, matchings)
    return {}, stage.evaluate(stage.prepare(arrays, precision), carry, keeps)


def recalibrated(network: Network, keeps: Mapping[str, np.ndarray], calibration: Calibration) -> Network:
    """A network whose batch norms have the statistics of their inputs under ``keeps``.

    :func:`models.pruning.prune` cuts the result as usual. Norms that no removal reaches keep their statistics; so
    a mask that removes nothing changes nothing.

    Args:
        network: with the weights of the mask (:func:`models.compensation.folding.compensated`); left as it is.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.
        calibration: the activations of all images between two stages are held.
    """
    result = network.architecture.blank()
    set_arrays(result, arrays_of(network))
    recalibration = Recalibration(result, keeps, calibration)
    for stage in result.stages:
        recalibration.measure(stage)
    return result


class Recalibration:
    """Walks once through a network, and puts statistics into one stage after the other."""

    def __init__(self, network: Network, keeps: Mapping[str, np.ndarray], calibration: Calibration):
        """Arguments as for :func:`recalibrated`; the stages of ``network`` are changed."""
        stages = list(network.stages)
        removed = {name for name, keep in keeps.items() if not keep.all()}
        self._measured = {
            stage.name: norms for stage, norms in zip(stages, reached(stages, removed), strict=True)
        }
        last = max((number for number, stage in enumerate(stages, 1) if self._measured[stage.name]), default=0)
        self._left = [stage.name for stage in stages[:last]]
        self._keeps = dict(keeps)
        self._calibration = calibration
        self._carry = calibration.normalisation(jnp.asarray(calibration.images))

    def measure(self, stage: Stage, *, final: bool = True, kept: Collection[str] = ()) -> None:
        """Put the statistics into the next stage; if they are final, go on behind it.

        A caller who is not done with the weights of the stage measures again. ``kept``: paths of variances whose
        norms keep their statistics.
        """
        if stage.name not in self._left:
            return
        measured = tuple(norm for norm in self._measured[stage.name] if norm.variance not in kept)
        if not (final or measured):
            return
        matchings = self._calibration.within(stage)
        statistics, carry = _calibrate(stage, self._carry, self._keeps, measured, matchings)
        if measured:
            put_stage_arrays(stage, {**stage_arrays(stage), **statistics})
        if final:
            self._carry = carry


@partial(jax.jit, static_argnames="measured")
def _calibrate(
    stage: Stage,
    carry: jax.Array,
    keeps: Keeps,
    measured: tuple[Norm, ...],
    matchings: Mapping[str, Matching] | None,
) -> tuple[dict[str, jax.Array], jax.Array]:
    return calibrate(stage, stage_arrays(stage), jnp.float32, carry, keeps, measured, matchings)
