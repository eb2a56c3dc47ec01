"""The dependencies of a module: what can be removed from it, and what goes with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from flax import nnx

from models.cost import Cost, cost_of_specs
from models.dependency.groups import Grouped, grouped
from models.dependency.masking import masked_program
from models.dependency.trace import Trace, arrays_of_module, trace
from models.dependency.unprunable import LeftWhole, left_whole
from models.dependency.walk import walk
from models.dependency.weights import weights
from models.stages import ArraySpec, FilterGroup, Keeps


@dataclass(frozen=True, eq=False)
class Dependencies:
    """What can be removed from a module.

    Attributes:
        trace: the module's program.
        found: filter groups, and where the program meets their channels.
        specs: what each axis of each parameter and batch statistic means, by path.
        left_whole: layers that keep their filters, and why.
    """

    trace: Trace
    found: Grouped
    specs: Mapping[str, ArraySpec]
    left_whole: tuple[LeftWhole, ...]

    @property
    def filter_groups(self) -> tuple[FilterGroup, ...]:
        """All prunable channels, in order of the program, named after the layer that makes them."""
        return self.found.groups

    @property
    def layers(self) -> Mapping[str, tuple[str, ...]]:
        """Group -> the layers whose filters are tied in it."""
        return self.found.layers

    @property
    def sizes(self) -> dict[str, int]:
        """Channels of each group."""
        return {group.name: group.size for group in self.filter_groups}

    def cost(self, keeps: Mapping[str, np.ndarray], masks: int) -> Cost:
        """Parameters and MACs of the pruned modules; see :func:`models.cost.masked_cost`."""
        return cost_of_specs(self.specs.values(), self.filter_groups, keeps, masks)

    def masked(self, module: nnx.Module, images: jax.Array, keeps: Keeps) -> jax.Array:
        """Logits of a module of this program under a mask; see :func:`models.dependency.masking.masked_program`.

        Args:
            module: gives the arrays.
            images: ``float32[b, ...]``.
            keeps: group -> ``bool[size]``, True = keep; absent groups are kept whole.
        """
        all_kept = {name: np.ones(size, bool) for name, size in self.sizes.items()}
        return self._masked(arrays_of_module(self.trace, module), images, all_kept | dict(keeps))

    @cached_property
    def _masked(self) -> Callable[[Sequence[Any], jax.Array, Keeps], jax.Array]:
        return jax.jit(masked_program(self.trace.program, self.found, self.sizes))


def analyse(module: nnx.Module, input_shape: tuple[int, ...]) -> Dependencies:
    """Find the dependencies of a module.

    Args:
        module: maps images ``float32[b, *input_shape]`` to logits ``[b, classes]``, each image on its own,
            once ``module.eval()`` was called; its arrays may be shapes only (``nnx.eval_shape``).
        input_shape: of one image.

    Raises:
        DependencyError: the module cannot be called so.
    """
    traced = trace(module, input_shape)
    walked = walk(traced)
    found = grouped(traced, walked)
    return Dependencies(traced, found, weights(traced, walked, found), left_whole(walked))
