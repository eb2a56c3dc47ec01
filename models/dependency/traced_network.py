"""A user's own module as a network: a chain of stages cut out of its program."""

from typing import Any

import jax
from flax import nnx

from models.dependency.analysis import Dependencies
from models.dependency.chain import links
from models.dependency.traced_stage import TracedStage
from models.errors import DependencyError
from models.stages import Keeps, run_chain


class TracedNetwork(nnx.Module):
    """Trains by the module's own code; masks are evaluated on its program (:class:`models.stages.Network`)."""

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
        chain = links(dependencies.trace)
        stages: dict[str, TracedStage] = {}
        for number, link in enumerate(chain, 1):
            for path in link.paths:
                if path not in dependencies.specs:
                    raise DependencyError(
                        f"{type(module).__name__} needs {path!r}, which is neither an nnx.Param nor an "
                        "nnx.BatchStat; make it one of these."
                    )
            name, ends = link.name, {"first": number == 1, "last": number == len(chain)}
            if name in stages:
                name = f"{name}#{number}"
            stages[name] = TracedStage(name, link, dependencies, held, **ends)
        self.stages = nnx.List(list(stages.values()))

    def __call__(
        self, inputs: jax.Array, keeps: Keeps | None = None, *, training: bool = False, rngs: Any = None
    ) -> jax.Array:
        """See :class:`models.stages.Network`."""
        if not training:
            return run_chain(self.stages, inputs, keeps)
        self.module.train()
        if rngs is not None:
            key = rngs.dropout()
            nnx.reseed(self.module, policy="match_shape", default=key, dropout=key)
        return self.module(inputs)
