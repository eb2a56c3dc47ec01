"""Finds the feature maps of a link: the values that later layers read, in front of pooling and flattening."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from models.axes import Axis, Joined, groups_of, places
from models.tracing.analysis import Dependencies
from models.tracing.chain import Link
from models.tracing.labels import shape_of
from models.tracing.readers.flow import Flow, is_move
from models.tracing.rules.reduction import REDUCTIONS, WINDOWS


class FeatureMap(NamedTuple):
    """A variable of the program with the maps of one image, and the axis that runs over their channels."""

    variable: core.Var
    axis: int
    channels: Axis | Joined

    def of(self, values: Mapping[Any, jax.Array], sizes: Mapping[str, int]) -> dict[str, list[jax.Array]]:
        """Group -> maps ``float32[..., group size]``, from the values of all variables.

        A group has several maps where each of its channels has several indices.
        """
        maps = jnp.moveaxis(values[self.variable], self.axis, -1)
        maps = maps.reshape(*(extent for extent in maps.shape[:-1] if extent > 1), maps.shape[-1])
        return {
            group: [_taken(maps, indices) for indices in places(self.channels, group, sizes)]
            for group in dict.fromkeys(groups_of(self.channels))
        }


def maps_of(link: Link, dependencies: Dependencies, flow: Flow) -> tuple[FeatureMap, ...]:
    """Find the feature maps that a link makes; ``flow`` is that of the program."""
    made = {result: equation for _, equation in link.equations for result in equation.outvars}
    read = [
        equation.invars[read.operand]
        for number, equation in link.equations
        for read in dependencies.found.reads.get(number, ())
    ]
    found: dict[core.Var, FeatureMap] = {}
    for variable in (*read, link.leaves):
        variable = _in_front_of_pools(variable, made, dependencies, flow)
        channels = _channel_axes(variable, dependencies)
        # The maps that enter are those of the link in front.
        if variable in made and len(channels) == 1:
            [(axis, runs_over)] = channels.items()
            found[variable] = FeatureMap(variable, axis, runs_over)
    return tuple(found.values())


def _in_front_of_pools(
    variable: Any, made: Mapping[Any, core.JaxprEqn], dependencies: Dependencies, flow: Flow
) -> Any:
    """The value that a link pools, averages, flattens or moves to make another value; or that value itself."""
    while variable in made:
        equation = made[variable]
        name = equation.primitive.name
        before = [atom for atom in equation.invars if not flow.of_arrays(atom)]
        scaled = name in ("mul", "div") and len(before) == 1
        if scaled:
            # An average is a sum, divided by numbers that are the same for all channels.
            numbers = shape_of(equation.invars[1 - equation.invars.index(before[0])])
            scaled = all(numbers[axis] == 1 for axis in _channel_axes(variable, dependencies) if numbers)
        if not (scaled or is_move(equation) or name in REDUCTIONS or name in WINDOWS):
            break
        variable = before[0]
    return variable


def _channel_axes(variable: Any, dependencies: Dependencies) -> dict[int, Axis | Joined]:
    """The axes of a variable that run over channels."""
    axes = dependencies.found.axes.get(variable, ())
    return {number: axis for number, axis in enumerate(axes) if not isinstance(axis, int)}


def _taken(maps: jax.Array, indices: np.ndarray) -> jax.Array:
    return maps if np.array_equal(indices, np.arange(maps.shape[-1])) else maps[..., indices]
