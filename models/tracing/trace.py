"""The program of a Flax NNX module in inference, with its arrays as named inputs."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend import core

from models.errors import DependencyError
from models.tracing.inlining import inlined


@dataclass(frozen=True)
class Trace:
    """A module's program for one image.

    Attributes:
        program: without calls; takes the arrays in the order of ``variables``, then the image.
        variables: path (``"block.conv.kernel"``) of each array, with the variable as the module holds it.
    """

    program: core.ClosedJaxpr
    variables: dict[str, nnx.Variable]

    @property
    def image(self) -> core.Var:
        """``float32[1, height, width, channels]``."""
        return self.program.jaxpr.invars[-1]


def trace(module: nnx.Module, input_shape: tuple[int, ...]) -> Trace:
    """Trace ``module(images)`` in evaluation mode, with one image.

    Args:
        module: left as it is; its arrays may be shapes only (``nnx.eval_shape``).
        input_shape: of one image, ``(height, width, channels)`` or whatever the module takes.

    Raises:
        DependencyError: the call fails, or its result is not ``[1, classes]``.
    """
    inference = nnx.merge(*nnx.split(module))
    inference.eval()
    graph, state = nnx.split(inference)
    flat = dict(nnx.to_flat_state(state))
    names = [".".join(map(str, path)) for path in flat]

    def call(arrays: list[Any], images: jax.Array) -> jax.Array:
        variables = [variable.replace(array) for variable, array in zip(flat.values(), arrays, strict=True)]
        return nnx.merge(graph, nnx.from_flat_state(list(zip(flat, variables, strict=True))))(images)

    arrays = [jax.ShapeDtypeStruct(v.get_value().shape, v.get_value().dtype) for v in flat.values()]
    image = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    try:
        program = jax.make_jaxpr(call)(arrays, image)
    # The user's code may raise anything; the user is told what.
    except Exception as error:
        raise DependencyError(
            f"{type(module).__name__} cannot be called with images of shape {(1, *input_shape)}: "
            f"{_first_line(error)}"
        ) from error
    outputs = program.out_avals
    if len(outputs) != 1 or outputs[0].ndim != 2 or outputs[0].shape[0] != 1:
        found = ", ".join(str(tuple(value.shape)) for value in outputs)
        raise DependencyError(
            f"{type(module).__name__} must return logits of shape (images, classes) and returned {found} for "
            "one image; give a module whose call has that one result."
        )
    held = dict(nnx.to_flat_state(nnx.state(module)))
    return Trace(inlined(program), {name: held[path] for name, path in zip(names, flat, strict=True)})


def arrays_of_module(traced: Trace, module: nnx.Module) -> list[Any]:
    """The arrays of a module, in the order in which the traced program of an equal module takes them."""
    held = {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(nnx.state(module))}
    return [held[path].get_value() for path in traced.variables]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
