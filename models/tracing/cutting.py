"""Cuts channels out of the arrays of a module, and fits the sizes that its layers store to the arrays."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.axes import ArraySpec, cut, extent


def cut_module(
    module: nnx.Module,
    specs: Mapping[str, ArraySpec],
    sizes: Mapping[str, int],
    channels: Mapping[str, np.ndarray],
) -> nnx.Module:
    """A copy of a module with only some channels of each group; unchecked. Arrays may be shapes only.

    Args:
        module: left as it is.
        specs: the axes of each array, by path.
        sizes: channels of each group.
        channels: group -> channel numbers ``int[w]``; absent groups are kept whole.
    """
    graph, state = nnx.split(module)
    flat = []
    for path, variable in nnx.to_flat_state(state):
        array, spec = variable.get_value(), specs.get(".".join(map(str, path)))
        if spec is not None:
            if isinstance(array, jax.ShapeDtypeStruct):
                widths = dict(sizes) | {name: len(chosen) for name, chosen in channels.items()}
                array = jax.ShapeDtypeStruct([extent(axis, widths) for axis in spec.axes], array.dtype)
            else:
                array = cut(jnp.asarray(array), spec, sizes, channels)
        flat.append((path, variable.replace(array)))
    smaller = nnx.merge(graph, nnx.from_flat_state(flat))
    _fit_attributes(smaller)
    return smaller


def _fit_attributes(module: nnx.Module) -> None:
    """Make the sizes that Flax layers store beside their arrays fit the arrays that they hold now."""
    for _, layer in nnx.iter_modules(module):
        if isinstance(layer, nnx.Conv):
            layer.kernel_shape = tuple(layer.kernel.get_value().shape)
            # A kernel reads the channels of one group; a removed group took its channels with it.
            each, filters = layer.kernel_shape[-2:]
            if layer.feature_group_count > 1:
                layer.feature_group_count = layer.feature_group_count * filters // layer.out_features
            layer.in_features = each * layer.feature_group_count
            layer.out_features = filters
        elif isinstance(layer, nnx.Linear):
            layer.in_features, layer.out_features = layer.kernel.get_value().shape
        elif isinstance(layer, nnx.BatchNorm):
            layer.num_features = layer.mean.get_value().shape[0]
