"""Small networks of each kind with images, to try importances on."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.layout import Layout
from fitness.genome import Genome
from fitness.importance import Subject
from models.arrays import arrays_of, set_arrays
from models.model_directory import Model
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from tests.models.support.residual import ResidualArchitecture

ARCHITECTURES = {
    # Maps of 2x2 before the dense layers: a flatten with several positions.
    "plain": VGGArchitecture("plain", ((4, 5), (6,)), (7,), 3, (8, 8, 2)),
    "batch-norm": VGGArchitecture("normed", ((5,), (6, 1)), (4,), 3, (8, 8, 2), batch_norm=True),
    "residual": ResidualArchitecture(),
}
KINDS = tuple(ARCHITECTURES)


@cache
def model_of(kind):
    """A network whose biases and batch statistics are as arbitrary as its kernels, and its answers varied."""
    network = ARCHITECTURES[kind].build(1)
    rng = np.random.default_rng(0)
    arrays = writable(network)
    for name, array in arrays.items():
        if array.ndim == 1:
            low = 0.5 if name.endswith(("scale", "var")) else -0.3
            array[:] = rng.uniform(low, low + 0.8, array.shape)
    set_arrays(network, arrays)
    model = Model(network, Normalisation((0.4, 0.5), (0.3, 0.2)), ("a", "b", "c"))
    (head,) = (name for name in arrays if name in ("logits.dense.bias", "head.dense.bias"))
    arrays[head] -= logits_of(model, pixels(60)).mean(axis=0)
    set_arrays(network, arrays)
    return model


def subject_of(kind, names=None, images=20):
    """``names``: the groups asked about; None: all. The network is right about four images in five."""
    model = model_of(kind)
    layout = Genome.of(model.network, "all").layout
    if names is not None:
        sizes = dict(zip(layout.names, layout.sizes, strict=True))
        layout = Layout(tuple(names), tuple(sizes[name] for name in names))
    labels = np.argmax(logits_of(model, pixels(images)), axis=1).astype(np.int32)
    labels[::5] = (labels[::5] + 1) % 3
    rng = np.random.default_rng(1)
    sensitivity = {
        name: rng.standard_normal(array.shape).astype(np.float32)
        for name, array in arrays_of(model.network).items()
        if array.ndim > 1
    }
    return Subject(replace(model, sensitivity=sensitivity), layout, pixels(images), labels)


def change_arrays(subject, change):
    """The subject with a copy of its network whose arrays ``change`` has written to."""
    network = subject.model.network.architecture.blank()
    arrays = writable(subject.model.network)
    change(arrays)
    set_arrays(network, arrays)
    return replace(subject, model=replace(subject.model, network=network))


def pixels(count):
    return np.random.default_rng(2).integers(0, 256, (count, 8, 8, 2), dtype=np.uint8)


def writable(network):
    return {name: np.array(array) for name, array in arrays_of(network).items()}


def logits_of(model, images):
    graph, state = nnx.split(model.network)
    return np.asarray(_logits(graph, state, model.normalisation(jnp.asarray(images))))


@partial(jax.jit, static_argnums=0)
def _logits(graph, state, inputs):
    return nnx.merge(graph, state)(inputs)
