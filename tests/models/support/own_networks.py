"""The user networks by the name of their factory, as ``--model-class`` has them."""

from functools import cache

from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from tests.models.support.random_pruning import disturbed
from tests.models.support.user_networks import INPUT_SHAPES

NAMES = {network.__name__: f"{__name__}:{network.__name__}" for network in INPUT_SHAPES}


def __getattr__(name):
    """The user networks as factories: ``tests.models.support.own_networks:ResNet``."""
    for network in INPUT_SHAPES:
        if network.__name__ == name:
            return lambda rngs, *, input_shape, classes: network(rngs)
    raise AttributeError(name)


@cache
def built(name):
    """One network for all tests, which leave it as it is."""
    return fresh(name)


def fresh(name):
    """A network with arrays as training leaves them."""
    factories.load(NAMES[name])
    shape = {network.__name__: shape for network, shape in INPUT_SHAPES.items()}[name]
    network = ModuleArchitecture(NAMES[name], shape, 5).build(1)
    disturbed(network.module)
    return network
