"""Small networks of each kind with images, to try importances on."""

import numpy as np

from engine.layout import Layout
from fitness.genome import Genome
from fitness.importance import Subject
from models.normalisation import Normalisation
from models.state import arrays_of, set_arrays
from models.store import Model
from models.vgg import VGGArchitecture
from tests.models.residual import ResidualArchitecture

ARCHITECTURES = {
    # Maps of 2x2 before the dense layers: a flatten with several positions.
    "plain": VGGArchitecture("plain", ((4, 5), (6,)), (7,), 3, (8, 8, 2)),
    "batch-norm": VGGArchitecture("normed", ((5,), (6, 1)), (4,), 3, (8, 8, 2), batch_norm=True),
    "residual": ResidualArchitecture(),
}
KINDS = tuple(ARCHITECTURES)


def model_of(kind, seed=0):
    """A network whose biases and batch statistics are as arbitrary as its kernels."""
    network = ARCHITECTURES[kind].build(seed)
    rng = np.random.default_rng(seed)
    arrays = arrays_of(network)
    for name, array in arrays.items():
        if array.ndim == 1:
            low = 0.5 if name.endswith(("scale", "var")) else -0.3
            arrays[name] = rng.uniform(low, low + 0.8, array.shape).astype(np.float32)
    set_arrays(network, arrays)
    return Model(network, Normalisation((0.4, 0.5), (0.3, 0.2)), ("a", "b", "c"))


def subject_of(kind, names=None, images=20, seed=0):
    """``names``: the groups asked about; None: all."""
    model = model_of(kind, seed)
    rng = np.random.default_rng(seed + 1)
    layout = Genome.of(model.network, "all").layout
    if names is not None:
        sizes = dict(zip(layout.names, layout.sizes, strict=True))
        layout = Layout(tuple(names), tuple(sizes[name] for name in names))
    sensitivity = {
        name: rng.standard_normal(array.shape).astype(np.float32)
        for name, array in arrays_of(model.network).items()
        if array.ndim > 1
    }
    pixels = rng.integers(0, 256, (images, 8, 8, 2), dtype=np.uint8)
    return Subject(model, layout, pixels, rng.integers(0, 3, images, dtype=np.int32), sensitivity=sensitivity)
