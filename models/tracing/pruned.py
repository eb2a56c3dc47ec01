"""From a module and a mask to the physically smaller module of the same class."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.axes import check_keeps
from models.errors import DependencyError, PruningError
from models.tracing.analysis import Dependencies
from models.tracing.cutting import cut_module
from models.tracing.labels import shape_of
from models.tracing.trace import trace

TOLERANCE = 1e-3
"""Largest difference of logits relative to the largest logit; a wrong channel gives differences of order 1."""
SMALLEST = 1e-2
"""Logits below this count as zero, where differences are rounding."""


def prune_module(module: nnx.Module, dependencies: Dependencies, keeps: Mapping[str, np.ndarray]) -> nnx.Module:
    """Cut the removed filters, and the weights that read them, out of a copy of a module.

    The copy runs the module's own code, which therefore must take sizes from its inputs and layers. The copy is
    compared with the masked module on random images.

    Args:
        module: left as it is.
        dependencies: of this module, from :func:`models.tracing.analysis.analyse`.
        keeps: group -> ``bool[size]``, True = keep; absent groups are kept whole.

    Raises:
        PruningError: a mask that does not fit, or a module whose code does not fit fewer channels.
    """
    check_keeps(keeps, dependencies.sizes)
    channels = {name: np.flatnonzero(keep) for name, keep in keeps.items()}
    smaller = cut_module(module, dependencies.specs, dependencies.sizes, channels)
    shape = shape_of(dependencies.trace.image)[1:]
    name = type(module).__name__
    try:
        trace(smaller, shape)
    except DependencyError as error:
        raise PruningError(
            f"{name} fixes sizes in its own code, which fails with fewer filters; take the sizes from the shapes "
            f"of its values instead ({error})"
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


def in_inference(module: nnx.Module) -> Callable[[jax.Array], jax.Array]:
    """A module's call in evaluation mode, compiled; the module itself stays as it is."""
    copy = nnx.merge(*nnx.split(module))
    copy.eval()
    return partial(_call, *nnx.split(copy))


@partial(jax.jit, static_argnums=0)
def _call(graph: Any, state: Any, images: jax.Array) -> jax.Array:
    return nnx.merge(graph, state)(images)
