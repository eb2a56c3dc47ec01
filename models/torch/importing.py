"""Imports a network that PyTorch trained; names and shapes of the weights give the architecture."""

from pathlib import Path

import numpy as np

from models.contract import Architecture
from models.errors import StoreError
from models.imported import ImportedNetwork, imported
from models.normalisation import Normalisation
from models.torch.facts import Facts
from models.torch.front import check_front
from models.torch.resnet import is_resnet, resnet_of
from models.torch.state_dict import read_state_dict
from models.torch.vgg import vgg_of


def import_network(
    path: Path,
    normalisation: Normalisation,
    *,
    name: str = "imported",
    classes: tuple[str, ...] | None = None,
    facts: Facts | None = None,
    weights: str | None = None,
    force: bool = False,
) -> ImportedNetwork:
    """A VGG or a ResNet from a file that :func:`models.torch.state_dict.read_state_dict` can read.

    Args:
        path: of the file.
        normalisation: of the training images.
        name: of the architecture.
        classes: names of the classes, in the order of the outputs; the model knows none if not given.
        facts: what the user tells beside the file; nothing if None.
        weights: key of the network in a checkpoint that holds several.
        force: whether ``normalisation`` is taken though a layer in front of the network has another one.

    Raises:
        StoreError: the file cannot be read, its arrays are not those of such a network, or it has another
            normalisation.
    """
    found = read_state_dict(path, weights)
    state, assumed = found.arrays, list(found.assumed)
    facts = facts or Facts()
    if found.front is not None:
        try:
            assumed.append(check_front(found.front, normalisation, force))
        except StoreError as error:
            raise StoreError(f"{path} {error}") from error
    architecture: Architecture
    arrays: dict[str, np.ndarray]
    if is_resnet(list(state)):
        architecture, arrays = resnet_of(path, state, name, facts, assumed)
    else:
        architecture, arrays = vgg_of(path, state, name, facts, assumed)
    return imported(path, architecture.blank(), arrays, normalisation, classes, assumed)
