"""Every network of the registry, narrow and on small images, with arrays as training leaves them."""

import numpy as np

from models.registry import NETWORKS
from models.stages import Axis
from models.state import set_arrays

SIZES = {"vgg11": (32, 32), "vgg16": (32, 32), "vgg19": (32, 32), "resnet20": (9, 8), "mlp": (3, 4)}
"""Height and width; the others have two 5x5 convolutions without padding."""

WIDTHS = {"vgg11": 0.02, "vgg16": 0.02, "vgg19": 0.02, "mlp": 0.01, "resnet20": 0.3, "fashion_cnn": 0.1}

PLAIN = [name for name in NETWORKS if not name.startswith("vgg")]
"""The networks that are no VGG."""


def small(name, seed=0):
    """A network with random arrays; drawn by NumPy, which needs no compilation for each shape."""
    shape = (*SIZES.get(name, (17, 18)), NETWORKS[name].input_shape[2])
    architecture = NETWORKS[name](width_multiplier=WIDTHS.get(name, 0.3), classes=4, input_shape=shape)
    network = architecture.blank()
    rng = np.random.default_rng(seed)
    arrays = {}
    for stage in network.stages:
        for path, spec in stage.specs().items():
            sizes = {group.name: group.size for group in network.filter_groups}
            extents = [
                sizes[axis.group] * axis.positions if isinstance(axis, Axis) else axis for axis in spec.axes
            ]
            if path.endswith("kernel"):
                array = rng.standard_normal(extents) * np.sqrt(2 / np.prod(extents[:-1]))
            elif path.endswith(("norm.var", "norm.scale")):
                array = rng.uniform(0.5, 2.0, extents)
            else:
                array = 0.1 * rng.standard_normal(extents)
            arrays[f"{stage.name}.{path}"] = array.astype(np.float32)
    set_arrays(network, arrays)
    return network
