"""The architecture of a user's own module: the name of what makes it, and its widths."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from flax import nnx

from models.architecture import checked_int, checked_ints
from models.dependency.analysis import analyse
from models.dependency.factories import factory
from models.dependency.pruned import cut_module
from models.dependency.traced_network import TracedNetwork
from models.errors import ArchitectureError, DependencyError


@dataclass(frozen=True)
class ModuleArchitecture:
    """``name`` is ``package.module:factory``; ``widths`` are those that differ from what it makes.

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
        return {
            "family": self.family,
            "name": self.name,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "widths": dict(self.widths),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "ModuleArchitecture":
        """Inverse of :meth:`to_json`; imports nothing.

        Raises:
            ArchitectureError: a field is missing or of the wrong type, or the factory was not named by the user.
        """
        name, shape, widths = entry.get("name"), checked_ints(entry, "input_shape"), entry.get("widths")
        if not isinstance(name, str) or len(shape) != 3 or not isinstance(widths, dict):
            raise ArchitectureError(
                "'name' must be text, 'input_shape' must hold three integers and 'widths' name groups."
            )
        factory(name)
        known = tuple(sorted((str(group), checked_int(widths, group)) for group in widths))
        return cls(name, (shape[0], shape[1], shape[2]), checked_int(entry, "classes"), known)

    def build(self, seed: int = 0) -> TracedNetwork:
        """A freshly initialised network.

        Raises:
            ArchitectureError: the factory returns no module, or fails; or no such widths.
            DependencyError: the module cannot be called with images.
        """
        network = self._network(self._module(seed))
        fewer = {group.name: group.size - 1 for group in network.filter_groups}
        try:
            # Better to learn now than after a search that the module's code cannot run with fewer filters.
            self.with_widths(fewer).blank()
        except DependencyError as error:
            raise DependencyError(
                f"{self.name} fixes sizes in its own code, which fails with fewer filters; take them from the "
                f"shapes of its values instead ({error})"
            ) from error
        return network

    def blank(self) -> TracedNetwork:
        """A network whose arrays are shapes only, to count or to fill."""
        return nnx.eval_shape(lambda: self._network(self._module(0)))

    def _module(self, seed: int) -> nnx.Module:
        make = factory(self.name)
        try:
            module = make(nnx.Rngs(seed), input_shape=self.input_shape, classes=self.classes)
        # Whatever the user's code raises is theirs to mend; they are told what it said.
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
            whole = TracedNetwork(self, module, dependencies)
            module = cut_module(module, dependencies, channels)
            network = TracedNetwork(self, module, analyse(module, self.input_shape))
            for stage, before in zip(network.stages, whole.stages, strict=True):
                stage.keep_single(before)
            return network
        return TracedNetwork(self, module, dependencies)
