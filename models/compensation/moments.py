"""Second moments of the channels that a network's layers read, over images and positions."""

from collections.abc import Collection, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from models.compensation.threads import one_thread
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.stages import Network, Reader, Stage

BATCH = 50
"""Images at a time; bounds the memory. Activations and moments of one batch are held."""


def reader_name(stage: Stage, reader: Reader) -> str:
    """The name of a reader within its network, ``"conv2_1.convolution.kernel"``."""
    return f"{stage.name}.{reader.kernel}"


def channels_read(network: Network, groups: Collection[str]) -> dict[str, int]:
    """Name of each reader of one of ``groups`` -> how many channels it reads."""
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
    """Moments of everything that reads one of ``groups``, with nothing removed.

    Args:
        network: left as it is.
        normalisation: of the images.
        images: ``uint8[n, height, width, channels]``, of the training split.
        groups: names of filter groups.

    Returns:
        Reader name -> ``float64[c + 1, c + 1]``: averages, over images and positions, of the products of each
        two channels as the reader sees them (behind activation and pooling); a constant 1 comes last.

    Raises:
        CompensationError: nothing that could be compensated reads one of the groups, or an activation is NaN or
            infinite.
    """
    wanted = channels_read(network, groups).keys()
    if not wanted:
        raise CompensationError(
            f"--compensate can do nothing for {network.architecture.name}: its layers do not tell which weights "
            "read the filters that may go, as layers of --model-class never do; leave out --compensate, and "
            "seeds by reconstruction."
        )
    inputs_of = jax.jit(lambda whole, batch: _inputs(whole, normalisation(batch), wanted))
    sums: dict[str, np.ndarray] = {}
    for start in range(0, len(images), BATCH):
        batch = jnp.asarray(images[start : start + BATCH])
        for name, inputs in inputs_of(network, batch).items():
            products = _products(np.asarray(inputs))
            sums[name] = sums[name] + products if name in sums else products
    for name, total in sums.items():
        if not np.isfinite(total).all():
            raise CompensationError(
                f"--compensate needs finite activations and those that {name.partition('.')[0]} reads are not; "
                "repair the model, or leave out --compensate."
            )
    return {name: total / total[-1, -1] for name, total in sums.items()}


def _inputs(network: Network, carry: jax.Array, wanted: Collection[str]) -> dict[str, jax.Array]:
    found: dict[str, jax.Array] = {}
    nothing: Mapping[str, np.ndarray] = {}
    for stage in network.stages:
        observed = stage.observe(carry)
        for reader in stage.readers():
            if reader_name(stage, reader) in wanted:
                found[reader_name(stage, reader)] = observed[reader.kernel]
        carry = stage(carry, nothing)
    return found


def _products(inputs: np.ndarray) -> np.ndarray:
    """Sums of products of ``float32[..., c]`` and a constant 1: ``float64[c + 1, c + 1]``."""
    channels = inputs.shape[-1]
    rows = np.ones((inputs.size // channels, channels + 1))
    rows[:, :-1] = inputs.reshape(-1, channels)
    with one_thread():
        return rows.T @ rows
