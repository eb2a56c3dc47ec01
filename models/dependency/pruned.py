"""From a module and a mask to the physically smaller module of the same class."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.axes import extent
from models.cutting import check_keeps, cut
from models.dependency.analysis import Dependencies
from models.dependency.dimensions import shape_of
from models.dependency.layers import fit_attributes
from models.dependency.trace import trace
from models.errors import DependencyError, PruningError

TOLERANCE = 1e-3
"""Largest difference of logits, relative to the largest; a wrong channel shows as one of order one."""
SMALLEST = 1e-2
"""Logits below are as good as zero: what differs there is rounding."""


def prune_module(module: nnx.Module, dependencies: Dependencies, keeps: Mapping[str, np.ndarray]) -> nnx.Module:
    """Cut the removed filters, and the weights that read them, out of a copy of a module.

    The copy runs the module's own code, which therefore must take sizes from its inputs and layers. It is
    compared with the masked module on random images.

    Args:
        module: left as it is.
        dependencies: of this module, from :func:`models.dependency.analysis.analyse`.
        keeps: group -> ``bool[size]``, True = keep; absent groups are kept whole.

    Raises:
        PruningError: a mask that does not fit, or a module whose code does not fit fewer channels.
    """
    check_keeps(keeps, dependencies.sizes)
    smaller = cut_module(module, dependencies, {name: np.flatnonzero(keep) for name, keep in keeps.items()})
    shape = shape_of(dependencies.trace.image)[1:]
    name = type(module).__name__
    try:
        trace(smaller, shape)
    except DependencyError as error:
        raise PruningError(
            f"{name} fixes sizes in its own code, which fails with fewer filters; take them from the shapes of "
            f"its values instead ({error})"
        ) from error
    images = jnp.asarray(np.random.default_rng(0).standard_normal((4, *shape)), jnp.float32)
    masked = np.asarray(dependencies.masked(module, images, keeps))
    pruned = np.asarray(in_inference(smaller)(images))
    difference, scale = np.max(np.abs(masked - pruned)), max(SMALLEST, float(np.max(np.abs(masked))))
    if not difference <= TOLERANCE * scale:
        raise PruningError(
            f"{name} computes something else with fewer filters than with silent ones (logits differ by "
            f"{difference:.3g} of {scale:.3g}); its own code must not depend on the number of channels."
        )
    return smaller


def cut_module(module: nnx.Module, dependencies: Dependencies, channels: Mapping[str, np.ndarray]) -> nnx.Module:
    """A copy of a module with these channels of each group alone; unchecked. Arrays may be shapes only."""
    graph, state = nnx.split(module)
    flat = []
    for path, variable in nnx.to_flat_state(state):
        array, spec = variable.get_value(), dependencies.specs.get(".".join(map(str, path)))
        if spec is not None:
            if isinstance(array, jax.ShapeDtypeStruct):
                widths = dependencies.sizes | {name: len(chosen) for name, chosen in channels.items()}
                array = jax.ShapeDtypeStruct([extent(axis, widths) for axis in spec.axes], array.dtype)
            else:
                array = cut(jnp.asarray(array), spec, dependencies.sizes, channels)
        flat.append((path, variable.replace(array)))
    smaller = nnx.merge(graph, nnx.from_flat_state(flat))
    fit_attributes(smaller)
    return smaller


def in_inference(module: nnx.Module) -> Callable[[jax.Array], jax.Array]:
    """A module's call in evaluation mode, compiled; the module itself stays as it is."""
    copy = nnx.merge(*nnx.split(module))
    copy.eval()
    return partial(_call, *nnx.split(copy))


@partial(jax.jit, static_argnums=0)
def _call(graph: Any, state: Any, images: jax.Array) -> jax.Array:
    return nnx.merge(graph, state)(images)
