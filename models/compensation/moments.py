"""Second moments of the channels that a network's layers read, over images and positions."""

from collections.abc import Collection, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from models.axes import places
from models.compensation.coefficients import one_thread
from models.contract import Network, Stage
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.readers import Reader

BATCH = 50
"""Images at a time; the activations and moments of one batch are held in memory."""


def reader_name(stage: Stage, reader: Reader) -> str:
    """The name of a reader within its network, ``"conv2_1.convolution.kernel"``.

    With the group behind it where the kernel reads several: ``"mixed.convolution.kernel:branch1"``.
    """
    name = f"{stage.name}.{reader.kernel}"
    return f"{name}:{reader.group}" if reader.several else name


def channels_read(network: Network, groups: Collection[str]) -> dict[str, int]:
    """Name of each reader of one of ``groups`` -> the number of channels that it reads."""
    sizes = {group.name: group.size for group in network.filter_groups}
    return {
        reader_name(stage, reader): sizes[reader.group]
        for stage in network.stages
        for reader in stage.readers()
        if reader.group in groups
    }


def gather_moments(
    network: Network, normalisation: Normalisation, images: np.ndarray, groups: Collection[str]
) -> dict[str, np.ndarray]:
    """Moments of the channels that each reader of one of ``groups`` reads, with nothing removed.

    Args:
        network: left as it is.
        normalisation: of the images.
        images: ``uint8[n, height, width, channels]``, of the training split.
        groups: names of filter groups.

    Returns:
        Reader name -> ``float64[c + 1, c + 1]``: the products of each two channels as the reader sees them
        (behind activation and pooling), averaged over images and positions; a constant 1 is the last channel.
        The constant's products with channels are 0 for a reader without a bias, so that no constant is fitted.

    Raises:
        CompensationError: no stage lists a reader of one of the groups, or an activation is NaN or infinite.
    """
    if not channels_read(network, groups):
        raise CompensationError(
            f"`compensate` can do nothing for {network.architecture.name}: it has no weights that are known to "
            "read its filters; leave out `compensate`, and seeds by reconstruction."
        )
    found = {}
    for stage, reader, total in summed_products(network, normalisation, images, groups):
        if not np.isfinite(total).all():
            raise CompensationError(
                f"`compensate` needs finite activations, but {stage.name} reads infinite or NaN ones; repair the "
                "model, or leave out `compensate`."
            )
        if reader.bias is None:
            total[-1, :-1] = total[:-1, -1] = 0
        found[reader_name(stage, reader)] = total / total[-1, -1]
    return found


def summed_products(
    network: Network,
    normalisation: Normalisation,
    images: np.ndarray,
    groups: Collection[str],
    batch: int = BATCH,
) -> Iterator[tuple[Stage, Reader, np.ndarray]]:
    """Each reader of one of ``groups``, with the sums of products ``float64[c + 1, c + 1]`` of what it reads.

    As in :func:`gather_moments`, but summed and not averaged, for all readers, and whether finite or not.
    """
    wanted = frozenset(channels_read(network, groups))
    sums: dict[str, np.ndarray] = {}
    for start in range(0, len(images), batch):
        shown = _inputs(network, jnp.asarray(images[start : start + batch]), normalisation, wanted)
        for name, inputs in shown.items():
            products = _products(np.asarray(inputs))
            sums[name] = sums[name] + products if name in sums else products
    for stage in network.stages:
        for reader in stage.readers():
            if reader_name(stage, reader) in sums:
                yield stage, reader, sums[reader_name(stage, reader)]


@partial(jax.jit, static_argnames=("normalisation", "wanted"))
def _inputs(
    network: Network, images: jax.Array, normalisation: Normalisation, wanted: Collection[str]
) -> dict[str, jax.Array]:
    """The channels that each wanted reader reads, ``float32[b, ..., c]``, by its name."""
    sizes = {group.name: group.size for group in network.filter_groups}
    found: dict[str, jax.Array] = {}
    carry = normalisation(images)
    for stage in network.stages:
        observed = stage.observe(carry, {})
        for reader in stage.readers():
            name = reader_name(stage, reader)
            if name in wanted:
                indices = places(reader.rows, reader.group, sizes)
                inputs = observed[reader.kernel]
                in_order = np.array_equal(indices.reshape(-1), np.arange(inputs.shape[-1]))
                inputs = inputs if in_order else inputs[..., indices.reshape(-1)]
                found[name] = inputs.reshape(*inputs.shape[:-1], *indices.shape)
        carry = stage(carry, {})
    return found


def _products(inputs: np.ndarray) -> np.ndarray:
    """Sums of products of the channels of ``float32[..., c]`` and a constant 1: ``float64[c + 1, c + 1]``."""
    channels = inputs.shape[-1]
    rows = np.ones((inputs.size // channels, channels + 1))
    rows[:, :-1] = inputs.reshape(-1, channels)
    with one_thread():
        return rows.T @ rows
