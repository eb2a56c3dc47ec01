"""What a refit aims at: the sums in the unpruned network, at the places that are fitted.

The aims are those of every mask, so that a search which refits many masks passes its images through the unpruned
network once.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models.compensation.patches import places
from models.contract import Network, Stage
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.readers import Reader

PLACES = 8
"""Places of a feature map, drawn at random, whose outputs are fitted for each image."""

BATCH = 100
"""Images at a time; bounds the memory beyond the activations of all images between two stages."""

MOST_KEPT = 1 << 30
"""Bytes of aims that are kept for the next mask; more are computed anew for each mask."""


class Aim(NamedTuple):
    """The sums that a kernel's results should go into, a batch of images each.

    Attributes:
        places: that are fitted: ``int64[b, k, axes]``.
        wanted: the sums there in the unpruned network: ``float32[b * k, outputs]``, for all outputs.
    """

    places: list[np.ndarray]
    wanted: list[np.ndarray]


class RefitAims:
    """The aims of each stage of a network, front to back.

    Attributes:
        original: the unpruned network.
        normalisation: of the images.
        images: ``uint8[n, height, width, channels]``, of the training split.
    """

    def __init__(self, original: Network, normalisation: Normalisation, images: np.ndarray, seed: int = 0):
        """``seed``: of the places that are fitted.

        Raises:
            CompensationError: the network's stages list no readers, or there are no images.
        """
        check_readers(original)
        if len(images) == 0:
            raise CompensationError("a refit needs images of the training split; give it one or more.")
        self.original = original
        self.normalisation = normalisation
        self.images = images
        self._seed = seed
        self._kept: list[dict[str, Aim]] | None = None

    def batches(self) -> list[np.ndarray]:
        """The images as the first stage reads them: ``float32[b, height, width, channels]`` each."""
        starts = range(0, len(self.images), BATCH)
        parts = (self.images[start : start + BATCH] for start in starts)
        return [np.asarray(self.normalisation(jnp.asarray(part))) for part in parts]

    def __iter__(self) -> Iterator[dict[str, Aim]]:
        """For each stage the aims of its kernels, by path.

        The activations of all images between two stages are held while the aims are computed: 262 kB an image
        for 64 channels of 32x32. Up to :data:`MOST_KEPT` bytes of aims are kept, once all were asked for.
        """
        if self._kept is not None:
            yield from self._kept
            return
        found, size = [], 0
        for aims in self._computed():
            size += sum(part.nbytes for aim in aims.values() for parts in aim for part in parts)
            if size <= MOST_KEPT:
                found.append(aims)
            else:
                found.clear()
            yield aims
        if size <= MOST_KEPT:
            self._kept = found

    def _computed(self) -> Iterator[dict[str, Aim]]:
        rng = np.random.default_rng(self._seed)
        carries = self.batches()
        for stage in self.original.stages:
            readers = by_kernel(stage)
            aims = {reader.kernel: Aim([], []) for reader in readers}
            for number, carry in enumerate(carries):
                observed, sums, behind = _passed(stage, carry, tuple(aims))
                carries[number] = np.asarray(behind)
                for reader in readers:
                    maps, aim = observed[reader.kernel], aims[reader.kernel]
                    chosen = places(maps.shape, reader.sliding, PLACES, rng)
                    aim.places.append(chosen)
                    aim.wanted.append(sums_at(np.asarray(sums[reader.kernel]), reader, maps.shape, chosen))
            yield aims


def check_readers(network: Network) -> None:
    """Refuse a network that cannot be refitted.

    Raises:
        CompensationError: its stages list no readers.
    """
    if not any(stage.readers() for stage in network.stages):
        raise CompensationError(
            f"{network.architecture.name} cannot be refitted: it has no weights that are known to read its "
            "filters; do without a refit."
        )


def by_kernel(stage: Stage) -> list[Reader]:
    """A reader of each kernel, which is fitted once."""
    return list({reader.kernel: reader for reader in stage.readers()}.values())


def sums_at(sums: np.ndarray, reader: Reader, shape: tuple[int, ...], chosen: np.ndarray) -> np.ndarray:
    """The sums at the places ``chosen`` of a kernel that reads maps of ``shape``: ``float32[b * k, outputs]``."""
    sums = sums.reshape(shape[0], *reader.sliding.outputs(shape[1:-1]), sums.shape[-1])
    images = np.arange(shape[0])[:, None]
    return sums[(images, *np.moveaxis(chosen, -1, 0))].reshape(-1, sums.shape[-1])


@partial(jax.jit, static_argnames="kernels")
def _passed(
    stage: Stage, carry: jax.Array, kernels: tuple[str, ...]
) -> tuple[dict[str, jax.Array], dict[str, jax.Array], jax.Array]:
    """What the kernels read, the sums that their results go into, and the carry behind the stage."""
    observed, sums = stage.observe(carry, {}), stage.sums(carry, {})
    return (
        {kernel: observed[kernel] for kernel in kernels},
        {kernel: sums[kernel] for kernel in kernels},
        stage(carry, {}),
    )
