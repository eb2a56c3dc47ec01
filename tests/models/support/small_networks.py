"""Small networks with random arrays, and masks of them, made by NumPy alone: no shape costs a compilation."""

import jax
import numpy as np

from models.arrays import set_arrays
from models.axes import extent
from models.networks.registry import NETWORKS
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture

SIZES = {"vgg11": (32, 32), "vgg16": (32, 32), "vgg19": (32, 32), "resnet20": (9, 8), "mlp": (3, 4)}
"""Height and width; the others have two 5x5 convolutions without padding."""

WIDTHS = {"vgg11": 0.02, "vgg16": 0.02, "vgg19": 0.02, "mlp": 0.01, "resnet20": 0.3, "fashion_cnn": 0.1}

VARIANTS = {
    "resnet-copied": ResNetArchitecture(
        "copied", (2, 4, 8), ((3,), (2,), (3,)), 4, (9, 8, 3), shortcuts="around", epsilon=0.3
    ),
    "resnet-stem": ResNetArchitecture(
        "stem", (3, 4), ((2, 3), (3,)), 4, (17, 14, 3), stem_kernel=7, stem_stride=2, stem_pool=True
    ),
    "vgg-average": VGGArchitecture(
        "average", ((3,), (4, 2)), (5,), 4, (9, 8, 3), True, 0.1, epsilon=0.3, last_pool="average"
    ),
    "vgg-averaged": VGGArchitecture("averaged", ((3,), (4,)), (), 4, (9, 10, 3), last_pool="none", averaged=True),
}
"""What the networks of the registry may have besides, as imported ones do."""

PLAIN = [*(name for name in NETWORKS if not name.startswith("vgg")), *VARIANTS]
"""The networks that are no standard VGG."""


def small(name, seed=0):
    """A network of the registry, narrow and on small images, or a variant; with arrays as training leaves them."""
    if name in VARIANTS:
        return filled(VARIANTS[name], seed)
    shape = (*SIZES.get(name, (17, 18)), NETWORKS[name].input_shape[2])
    return filled(NETWORKS[name](width_multiplier=WIDTHS.get(name, 0.3), classes=4, input_shape=shape), seed)


def filled(architecture, seed=0):
    """A network with random arrays whose biases, scales and statistics are not those of initialisation."""
    rng = np.random.default_rng(seed)

    def drawn(path, shape):
        if path.endswith("kernel"):
            return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        if path.endswith(("norm.var", "norm.scale")):
            return rng.uniform(0.5, 2.0, shape)
        return 0.1 * rng.standard_normal(shape)

    return _with_arrays(architecture, drawn)


def positive(architecture, seed=0):
    """A network with positive arrays only: no filter is dead, so each one changes the logits."""
    rng = np.random.default_rng(seed)

    def drawn(path, shape):
        start = 0.0
        if path.endswith("kernel"):
            start = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        elif path.endswith(("norm.var", "norm.scale")):
            start = 1.0
        return np.abs(start + 0.3 * rng.standard_normal(shape))

    return _with_arrays(architecture, drawn)


def _with_arrays(architecture, drawn):
    network = architecture.blank()
    sizes = {group.name: group.size for group in network.filter_groups}

    def made(path, shape):
        if path.endswith("selection"):
            inputs, filters = shape[2:]
            return np.eye(inputs, filters, (filters - inputs) // 2)[None, None]
        return drawn(path, shape)

    arrays = {
        f"{stage.name}.{path}": made(path, [extent(axis, sizes) for axis in spec.axes]).astype(np.float32)
        for stage in network.stages
        for path, spec in stage.specs().items()
    }
    set_arrays(network, arrays)
    return network


def random_keeps(groups, rng, share=None):
    """A mask that keeps each filter with probability ``share`` (any, if None), at least one of each group."""
    keeps = {}
    for group in groups:
        keep = rng.random(group.size) < (rng.uniform(0.1, 1) if share is None else share)
        keep[rng.integers(group.size)] = True
        keeps[group.name] = keep
    return keeps


def keeps_of_widths(groups, rng, share):
    """A mask that keeps ``share`` of each group, rounded, at least one: other filters each time, the same shapes."""
    return {g.name: rng.permutation(g.size) < max(1, round(share * g.size)) for g in groups}


@jax.jit
def logits(network, inputs, keeps=None):
    """Logits of any network; compiled once for an architecture and the shapes of its arguments."""
    return network(inputs, keeps)


def assert_close(found, expected):
    """Equal up to rounding of float32, relative to the largest value."""
    found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(expected).max()))
