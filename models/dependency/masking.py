"""A module's program under a mask."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.extend import core

from models.dependency.execution import execute
from models.dependency.groups import Grouped
from models.stages import Keeps


def masked_program(
    program: core.ClosedJaxpr, found: Grouped, sizes: Mapping[str, int]
) -> Callable[[Sequence[Any], jax.Array, Keeps], jax.Array]:
    """A module's program under a mask.

    A removed channel is silent where an equation sums over it, and only there: so it leaves the same trace as
    if it were gone, whatever is done to it in between (the sigmoid of a silent channel would not be 0).

    Args:
        program: see :class:`models.dependency.trace.Trace`.
        found: where it sums over channels.
        sizes: channels of each group.

    Returns:
        From arrays, images ``[b, ...]`` and keeps (:data:`models.stages.Keeps`) to logits ``[b, classes]``.
    """
    jaxpr = program.jaxpr

    def masked(arrays: Sequence[Any], images: jax.Array, keeps: Keeps) -> jax.Array:
        def of_image(image: jax.Array) -> jax.Array:
            inputs = [*program.consts, *arrays, image[None]]
            values = dict(zip([*jaxpr.constvars, *jaxpr.invars], inputs, strict=True))
            execute(enumerate(jaxpr.eqns), values, found, keeps, sizes)
            return values[jaxpr.outvars[0]][0]

        return jax.vmap(of_image)(images)

    return masked
