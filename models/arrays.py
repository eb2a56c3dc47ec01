"""A network's arrays as a flat dictionary ``"conv1_1.convolution.kernel" -> array``, and back."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.contract import Network, Stage
from models.errors import StoreError
from models.xla import check_devices


def _stage_variables(stage: Stage) -> dict[str, nnx.Variable]:
    flat = nnx.to_flat_state(nnx.state(stage, (nnx.Param, nnx.BatchStat)))
    return {".".join(map(str, path)): variable for path, variable in flat}


def _variables(network: Network) -> dict[str, nnx.Variable]:
    return {
        f"{stage.name}.{path}": variable
        for stage in network.stages
        for path, variable in _stage_variables(stage).items()
    }


def stage_arrays(stage: Stage) -> dict[str, jax.Array]:
    """The parameters and batch statistics of a stage, by variable path, as in :meth:`Stage.specs`."""
    return {path: variable[...] for path, variable in _stage_variables(stage).items()}


def arrays_of(network: Network) -> dict[str, np.ndarray]:
    """Copies of all parameters and batch statistics, by stage name and variable path."""
    return {name: np.asarray(variable[...]) for name, variable in sorted(_variables(network).items())}


def kernels_of(network: Network) -> dict[str, np.ndarray]:
    """Copies of all kernels: the trained arrays of two or more dimensions."""
    trained = {name for name, variable in _variables(network).items() if isinstance(variable, nnx.Param)}
    return {name: array for name, array in arrays_of(network).items() if array.ndim > 1 and name in trained}


def set_arrays(network: Network, arrays: dict[str, np.ndarray]) -> None:
    """Put arrays into a network, in float32; every variable must be given, and nothing else.

    Raises:
        StoreError: names or shapes differ from the network's.
        DeviceError: see :func:`models.xla.check_devices`.
    """
    check_devices()
    shapes = {name: variable.get_value().shape for name, variable in _variables(network).items()}
    missing, unknown = sorted(shapes.keys() - arrays.keys()), sorted(arrays.keys() - shapes.keys())
    if missing or unknown:
        what = f"lack {missing[0]!r}" if missing else f"hold {unknown[0]!r}, which the architecture lacks"
        raise StoreError(f"the weights do not fit the architecture {network.architecture.name}: they {what}.")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise StoreError(
                f"the weights do not fit the architecture {network.architecture.name}: {name!r} has shape "
                f"{arrays[name].shape}, not {shape}."
            )
    for stage in network.stages:
        put_stage_arrays(stage, {path: arrays[f"{stage.name}.{path}"] for path in _stage_variables(stage)})


def put_stage_arrays(stage: Stage, arrays: Mapping[str, Any]) -> None:
    """Put arrays, by variable path, into a stage, in float32; inverse of :func:`stage_arrays`."""
    flat: list[tuple[Any, Any]] = []
    for path, variable in nnx.to_flat_state(nnx.state(stage, (nnx.Param, nnx.BatchStat))):
        value = arrays[".".join(map(str, path))]
        flat.append((path, variable.replace(jax.numpy.asarray(value, jax.numpy.float32))))
    nnx.update(stage, nnx.from_flat_state(flat))


def take_or_zero(array: jax.Array, indices: jax.Array, axis: int) -> jax.Array:
    """The slices of an array at ``int[k]`` along an axis; zeros for an index beyond the last slice."""
    shape = [1] * array.ndim
    shape[axis] = len(indices)
    within = (indices < array.shape[axis]).reshape(shape)
    return jnp.where(within, jnp.take(array, indices, axis=axis, mode="clip"), 0)


def take_or_zero_on_host(array: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """As :func:`take_or_zero`."""
    taken = array.take(indices, axis=axis, mode="clip")
    np.moveaxis(taken, axis, 0)[indices >= array.shape[axis]] = 0
    return taken
