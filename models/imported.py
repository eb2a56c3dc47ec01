"""A network from a file of another software, whatever its format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.arrays import set_arrays
from models.classes import Unnamed
from models.contract import Network
from models.errors import StoreError
from models.model_directory import Model
from models.normalisation import Normalisation


@dataclass(frozen=True)
class ImportedNetwork:
    """A network from a file.

    Attributes:
        model: the network with its normalisation and class names.
        assumed: one sentence, without a full stop, for each thing that the file leaves open and how it was
            settled, or that was left out or left whole.
    """

    model: Model
    assumed: tuple[str, ...]


def imported(
    path: Path,
    network: Network,
    arrays: Mapping[str, np.ndarray],
    normalisation: Normalisation,
    classes: tuple[str, ...] | None,
    assumed: Iterable[str],
) -> ImportedNetwork:
    """Fill a network with the arrays of a file.

    Args:
        path: of the file, for messages.
        network: with shapes in place of arrays; it is filled.
        arrays: by our names.
        normalisation: of the images.
        classes: names of the classes, in the order of the outputs; the model knows none if None.
        assumed: see :class:`ImportedNetwork`.

    Raises:
        StoreError: classes, normalisation or arrays do not fit the network.
    """
    architecture = network.architecture
    names = classes or Unnamed.of(architecture.classes)
    if len(names) != architecture.classes:
        raise StoreError(
            f"`classes` names {len(names)} classes and {path} has {architecture.classes}; name each, in the "
            "order of the outputs."
        )
    channels = architecture.input_shape[2]
    if len(normalisation.mean) != channels:
        raise StoreError(
            f"`mean` and `std` have {len(normalisation.mean)} numbers and {path} takes {channels} channels; "
            "give one of each for each channel."
        )
    try:
        set_arrays(network, dict(arrays))
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    return ImportedNetwork(Model(network, normalisation, names), tuple(assumed))
