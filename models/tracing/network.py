"""A user's own module as a network: a chain of stages cut from its program."""

from functools import lru_cache
from typing import Any

import jax
from flax import nnx

from models.contract import Keeps, run_chain
from models.errors import DependencyError
from models.tracing.analysis import Dependencies
from models.tracing.chain import Link, links
from models.tracing.factories import factory
from models.tracing.readers.finding import LinkReaders, readers_of
from models.tracing.readers.flow import Flow
from models.tracing.readers.maps import FeatureMap, maps_of
from models.tracing.readers.norms import TracedNorm, norms_of
from models.tracing.stage import TracedStage


class TracedNetwork(nnx.Module):
    """A :class:`models.contract.Network` that trains with the module's own code and masks its program."""

    def __init__(self, architecture: Any, module: nnx.Module, dependencies: Dependencies):
        self.architecture = architecture
        self.module = module
        self.dependencies = dependencies
        self.filter_groups = dependencies.filter_groups
        self.left_whole = dependencies.left_whole
        held = {
            ".".join(map(str, path)): node
            for path, node in nnx.iter_graph(module)
            if isinstance(node, nnx.Variable)
        }
        chain = _chain(dependencies)
        stages: dict[str, TracedStage] = {}
        for number, (link, readers, norms, maps) in enumerate(chain, 1):
            for path in link.paths:
                if path not in dependencies.specs:
                    raise DependencyError(
                        f"{type(module).__name__} needs {path!r}, which is neither an nnx.Param nor an "
                        "nnx.BatchStat; make it one of the two."
                    )
            name, ends = link.name, {"first": number == 1, "last": number == len(chain)}
            if name in stages:
                name = f"{name}#{number}"
            stages[name] = TracedStage(name, link, dependencies, readers, norms, maps, held, **ends)
        self.not_compensated = tuple(
            missing for stage in stages.values() for missing in stage.found_readers.missing
        )
        self.stages = nnx.List(list(stages.values()))

    def __call__(
        self, inputs: jax.Array, keeps: Keeps | None = None, *, training: bool = False, rngs: Any = None
    ) -> jax.Array:
        """See :class:`models.contract.Network`."""
        if not training:
            return run_chain(self.stages, inputs, keeps)
        self.module.train()
        if rngs is not None:
            key = rngs.dropout()
            nnx.reseed(self.module, policy="match_shape", default=key, dropout=key)
        return self.module(inputs)


@lru_cache(maxsize=8)
def _chain(
    dependencies: Dependencies,
) -> list[tuple[Link, LinkReaders, tuple[TracedNorm, ...], tuple[FeatureMap, ...]]]:
    """The links with their readers, norms and feature maps.

    Networks with the same dependencies share links, and so compiled programs.
    """
    flow = Flow(dependencies.trace)
    found = links(dependencies.trace)
    return [
        (
            link,
            readers_of(link, dependencies, flow),
            norms_of(link, dependencies, flow),
            maps_of(link, dependencies, flow),
        )
        for link in found
    ]


def make_random_states(network: Any, seed: int) -> None:
    """Create the random states, such as dropout keys, of a user's module that was read or pruned.

    Model directories hold no random states, so such a module has only their shapes. Its factory makes new ones.
    Any other network is left as it is.
    """
    others = nnx.Not(nnx.Any(nnx.Param, nnx.BatchStat))
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(nnx.state(network, others))):
        made = network.architecture
        shape, classes = made.input_shape, made.classes
        module = factory(made.name)(nnx.Rngs(seed), input_shape=shape, classes=classes)
        nnx.update(network.module, nnx.state(module, others))
