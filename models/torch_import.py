"""A model from the weights of a network that PyTorch trained; its architecture is read off names and shapes."""

from pathlib import Path

from models.errors import StoreError
from models.normalisation import Normalisation
from models.stages import Architecture
from models.state import set_arrays
from models.store import Model
from models.torch_files import read_state_dict
from models.torch_resnet import is_resnet, resnet_architecture, resnet_arrays
from models.torch_vgg import vgg_of


def import_network(
    path: Path,
    normalisation: Normalisation,
    *,
    name: str = "imported",
    classes: tuple[str, ...] | None = None,
    input_size: int | None = None,
) -> Model:
    """A VGG or a CIFAR ResNet from a file that :func:`models.torch_files.read_state_dict` can read.

    Args:
        path: of the file.
        normalisation: of the images that it was trained on.
        name: of the architecture.
        classes: their names; 0, 1, 2, ... if not given.
        input_size: height and width of the images, where the file does not tell.

    Raises:
        StoreError: no such file, or its arrays are not those of such a network.
    """
    state = read_state_dict(path)
    architecture: Architecture
    if is_resnet(list(state)):
        arrays = resnet_arrays(path, state)
        architecture = resnet_architecture(path, arrays, name, input_size)
    else:
        architecture, arrays = vgg_of(path, state, name, input_size)
    names = classes or tuple(map(str, range(architecture.classes)))
    if len(names) != architecture.classes:
        raise StoreError(f"--classes names {len(names)} classes and {path} has {architecture.classes}.")
    channels = architecture.input_shape[2]
    if len(normalisation.mean) != channels:
        raise StoreError(
            f"--mean and --std have {len(normalisation.mean)} numbers and {path} takes {channels} channels."
        )
    network = architecture.blank()
    try:
        set_arrays(network, arrays)
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    return Model(network, normalisation, names)
