"""The architecture of a user's own module: the name of its factory, and its widths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from flax import nnx

from models.contract import FilterGroup
from models.errors import ArchitectureError, DependencyError, PruningError
from models.fields import JSONArchitecture
from models.tracing.analysis import analyse
from models.tracing.cut_analysis import analyse_cut
from models.tracing.cutting import cut_module
from models.tracing.factories import factory
from models.tracing.network import TracedNetwork
from models.tracing.pruned import prune_module


@dataclass(frozen=True)
class ModuleArchitecture(JSONArchitecture):
    """``name`` is ``package.module:factory``; ``widths`` are those that differ from the factory's module.

    The factory is called as ``factory(rngs, input_shape=(height, width, channels), classes=n)`` and returns a
    Flax NNX module that maps images to logits.
    """

    family: ClassVar[str] = "module"

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    widths: tuple[tuple[str, int], ...] = ()

    def with_widths(self, widths: Mapping[str, int]) -> "ModuleArchitecture":
        """The same network with other numbers of filters for the groups named."""
        return replace(self, widths=tuple(sorted({**dict(self.widths), **widths}.items())))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {**super().to_json(), "widths": dict(self.widths)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "ModuleArchitecture":
        """Inverse of :meth:`to_json`; imports nothing.

        Raises:
            ArchitectureError: a field is missing or of the wrong type, or the user has not named the factory.
        """
        widths = entry.get("widths")
        if not isinstance(widths, dict):
            raise ArchitectureError(f"'widths' of an architecture must name groups, not {widths!r}.")
        architecture = super().from_json({**entry, "widths": sorted(widths.items())})
        factory(architecture.name)
        return architecture

    def build(self, seed: int = 0) -> TracedNetwork:
        """A freshly initialised network.

        Raises:
            ArchitectureError: the factory fails, returns no module, or its module has no such widths.
            DependencyError: the module cannot be called with images, or computes something else with fewer
                filters than with silent filters.
        """
        network = self._network(self._module(seed))
        try:
            # Fail now rather than after a search, if the module's code does not work with fewer filters.
            for keeps in _trials(network.filter_groups):
                prune_module(network.module, network.dependencies, keeps)
        except PruningError as error:
            raise DependencyError(f"{self.name}: {error}") from error
        return network

    def blank(self) -> TracedNetwork:
        """A network whose arrays are shapes only, to count or to fill."""
        return nnx.eval_shape(lambda: self._network(self._module(0)))

    def _module(self, seed: int) -> nnx.Module:
        make = factory(self.name)
        try:
            module = make(nnx.Rngs(seed), input_shape=self.input_shape, classes=self.classes)
        # The user's code may raise anything; the user is told what.
        except Exception as error:
            raise ArchitectureError(f"{self.name} failed ({type(error).__name__}: {error}).") from error
        if not isinstance(module, nnx.Module):
            raise ArchitectureError(f"{self.name} must return a Flax NNX module, not {type(module).__name__}.")
        return module

    def _network(self, module: nnx.Module) -> TracedNetwork:
        dependencies = analyse(module, self.input_shape)
        classes = dependencies.trace.program.out_avals[0].shape[1]
        if classes != self.classes:
            raise ArchitectureError(f"{self.name} makes a network of {classes} classes, not {self.classes}.")
        if self.widths:
            sizes = dependencies.sizes
            for name, width in self.widths:
                if not 1 <= width <= sizes.get(name, 0):
                    raise ArchitectureError(f"{self.name} has no layer {name!r} of {width} filters or more.")
            channels = {name: np.arange(width) for name, width in self.widths}
            module = cut_module(module, dependencies.specs, dependencies.sizes, channels)
            dependencies = analyse_cut(module, dependencies, dict(self.widths))
        return TracedNetwork(self, module, dependencies)


def _trials(groups: Sequence[FilterGroup]) -> Iterator[dict[str, np.ndarray]]:
    """Masks that test whether a module's code works with fewer filters: one left, half, and all but one."""
    rng = np.random.default_rng(0)
    for share in (0.0, 0.5, 1.0):
        kept = [max(1, min(group.size - 1, round(share * group.size))) for group in groups]
        yield {group.name: rng.permutation(group.size) < width for group, width in zip(groups, kept, strict=True)}
