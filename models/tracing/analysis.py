"""The dependencies of a module: which filters can be removed together, and which have to stay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from models.axes import ArraySpec, extent
from models.contract import FilterGroup, Keeps
from models.cost import Cost, cost_of_specs
from models.errors import DependencyError
from models.tracing.cutting import cut_module
from models.tracing.execution import masked_program
from models.tracing.groups import Grouped, grouped, layer_of
from models.tracing.labels import shape_of
from models.tracing.trace import Trace, arrays_of_module, trace
from models.tracing.walk import OUTPUT, Walked, walk


class LeftWhole(NamedTuple):
    """A layer that keeps all its filters or some of them, because of a primitive that they reach."""

    layer: str
    reason: str

    def __str__(self) -> str:
        """``left whole: conv3, because of 'sort'``."""
        if self.reason == OUTPUT:
            return f"left whole: {self.layer}, because its channels are the network's output"
        return f"left whole: {self.layer}, because of '{self.reason}'"


@dataclass(frozen=True, eq=False, repr=False)
class Dependencies:
    """The filter groups of a module and where its program uses them.

    Attributes:
        trace: the module's program.
        found: filter groups, and the axes of the program that run over their channels.
        specs: the axes of each parameter and batch statistic, by path.
        left_whole: layers that keep all their filters or some of them, with the reason.
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

    def with_widths(self, widths: Mapping[str, int]) -> "Dependencies":
        """The dependencies of the same program with fewer channels in the groups named."""
        if all(widths.get(name, size) == size for name, size in self.sizes.items()):
            return self
        groups = tuple(replace(group, size=widths.get(group.name, group.size)) for group in self.filter_groups)
        return replace(self, found=self.found._replace(groups=groups))

    def cost(self, keeps: Mapping[str, np.ndarray], masks: int) -> Cost:
        """Parameters and MACs of the pruned modules; see :func:`models.cost.masked_cost`."""
        return cost_of_specs(self.specs.values(), self.filter_groups, keeps, masks)

    def masked(self, module: nnx.Module, images: jax.Array, keeps: Keeps) -> jax.Array:
        """Logits of a module of this program under a mask; see :func:`models.tracing.execution.masked_program`.

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
        DependencyError: the module cannot be called with such images.
    """
    traced = trace(module, input_shape)
    walked = walk(traced)
    found = grouped(traced, walked)
    specs = array_specs(traced, walked, found)
    if walked.context.parted and not _fits(module, traced, walked, found, specs):
        walked = walk(traced, ties_parts=False)
        found = grouped(traced, walked)
        specs = array_specs(traced, walked, found)
    return Dependencies(traced, found, specs, _left_whole(walked))


def _fits(
    module: nnx.Module, traced: Trace, walked: Walked, found: Grouped, specs: Mapping[str, ArraySpec]
) -> bool:
    """Whether a module's code cuts fewer channels into the parts that the analysis expects.

    The program does not tell whether the code says ``x.shape[-1] // 2`` or 16. So the module is traced with one
    channel less in each group.
    """
    widths = {group.name: group.size - 1 for group in found.groups}
    sizes = {group.name: group.size for group in found.groups}
    channels = {name: np.arange(width) for name, width in widths.items()}
    try:
        cut = trace(cut_module(module, specs, sizes, channels), shape_of(traced.image)[1:])
    except DependencyError:
        return False
    whole, fewer = traced.program.jaxpr.eqns, cut.program.jaxpr.eqns
    return len(whole) == len(fewer) and all(
        fewer[number].primitive is whole[number].primitive
        and all(
            shape_of(result) == tuple(extent(axis, widths) for axis in found.shapes[number])
            for result in fewer[number].outvars
        )
        for number in walked.context.parted
    )


def array_specs(trace: Trace, walked: Walked, found: Grouped) -> dict[str, ArraySpec]:
    """The axes, uses and kind of each parameter and batch statistic, by path."""
    return {
        path: ArraySpec(
            axes,
            uses=walked.context.uses.get(path, 0),
            trained=isinstance(trace.variables[path], nnx.Param),
            outputs=_outputs(path, walked),
        )
        for path, axes in found.arrays.items()
    }


def _outputs(path: str, walked: Walked) -> int:
    """The axis of a kernel over which its outputs run; the last of any other array.

    A file may store kernels as ``[outputs, inputs, height, width]``.
    """
    made = [maker.labels for maker in walked.context.makers if maker.path == path]
    for number, labels in enumerate(walked.arrays[path]):
        if labels is not None and any(np.isin(labels, each).any() for each in made):
            return number
    return -1


def _left_whole(walked: Walked) -> tuple[LeftWhole, ...]:
    """Each layer that keeps filters, once for each reason, in order of the program."""
    found: dict[LeftWhole, None] = {}
    for maker in walked.context.makers:
        reasons = {walked.context.ties.reason(int(label)) for label in maker.labels}
        found |= {LeftWhole(layer_of(maker.path), reason): None for reason in sorted(filter(None, reasons))}
    return tuple(found)
