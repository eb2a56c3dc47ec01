"""The networks that can be named on the command line, and the families that can be read back from disk."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from models.dependency.architecture import ModuleArchitecture
from models.errors import ArchitectureError
from models.vgg import VGGArchitecture, vgg

NETWORKS: Mapping[str, Callable[..., VGGArchitecture]] = {
    "vgg11": partial(vgg, "vgg11", (1, 1, 2, 2, 2)),
    "vgg16": partial(vgg, "vgg16", (2, 2, 3, 3, 3)),
    "vgg19": partial(vgg, "vgg19", (2, 2, 4, 4, 4)),
}
"""Name -> factory; keyword arguments width_multiplier, classes, input_shape, batch_norm."""

FAMILIES: Mapping[str, Any] = {
    architecture.family: architecture for architecture in (VGGArchitecture, ModuleArchitecture)
}


def architecture_from_json(entry: Any) -> Any:
    """The architecture that a ``model.json`` describes.

    Raises:
        ArchitectureError: the family is unknown or a field does not fit it.
    """
    family = entry.get("family") if isinstance(entry, dict) else None
    if not isinstance(family, str) or family not in FAMILIES:
        raise ArchitectureError(
            f"architecture family {family!r} is not known; this version reads {', '.join(FAMILIES)}."
        )
    return FAMILIES[family].from_json(entry)
