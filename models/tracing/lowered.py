"""Convolutions of a program that a lowering computes faster than XLA does."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.extend import core

from models.lowering.choice import choose, target
from models.lowering.contract import Lowering
from models.lowering.convolution import choose_lowering, convolve
from models.lowering.depthwise import convolve_depthwise, is_depthwise
from models.tracing.chain import Link
from models.tracing.labels import shape_of
from models.windows import Window


class LoweredConvolution(NamedTuple):
    """A convolution with a stored kernel that :func:`models.lowering.choice.choose` knows.

    Attributes:
        number: of the equation.
        kernel: its second operand.
        size: height and width of its input.
        window: kernel, stride and padding.
        axes: of input, kernel and output: what is at each place of ``NHWC``, ``OIHW`` and ``NHWC``.
    """

    number: int
    kernel: core.Var
    size: tuple[int, int]
    window: Window
    axes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    def prepare(self, kernel: jax.Array) -> jax.Array:
        """The kernel as :meth:`convolve` takes it, from the kernel as the program has it."""
        outputs, inputs, rows, columns = self.axes[1]
        kernel = jnp.transpose(kernel, (rows, columns, inputs, outputs))
        return self._lowering(kernel.shape[2]).prepare(kernel)

    def convolve(self, image: jax.Array, prepared: jax.Array) -> jax.Array:
        """The result of the equation for one image. Under :func:`jax.vmap`, all images are convolved at once."""
        first, channels, height, width = self.axes[0]
        image = jnp.transpose(image, (first, height, width, channels))
        lowering = self._lowering(image.shape[3])

        @custom_vmap
        def convolved(images: jax.Array, kernel: jax.Array) -> jax.Array:
            return lowering.convolve(images, kernel)

        @convolved.def_vmap
        def _(count: int, batched: list[bool], images: jax.Array, kernel: jax.Array) -> tuple[jax.Array, bool]:
            assert batched == [True, False], "kernels are the same for all images"
            outputs = convolved(images.reshape(-1, *images.shape[2:]), kernel)
            return outputs.reshape(count, -1, *outputs.shape[1:]), True

        first, channels, height, width = self.axes[2]
        return jnp.moveaxis(convolved(image, prepared), (0, 3, 1, 2), (first, channels, height, width))

    def images_per_step(self, prepared: jax.Array) -> int | None:
        """See :meth:`models.lowering.contract.Lowering.images_per_step`."""
        inputs, filters = prepared.shape[-2:]
        return self._lowering(inputs).images_per_step(inputs, filters)

    def _lowering(self, inputs: int) -> Lowering:
        return choose(self.size, self.window, inputs, target(), jnp.float32)


def lowered_convolutions(link: Link) -> tuple[LoweredConvolution, ...]:
    """The convolutions of a link that have a lowering."""
    uses: dict[Any, int] = {}
    for _, equation in link.equations:
        for atom in equation.invars:
            if not isinstance(atom, core.Literal):
                uses[atom] = uses.get(atom, 0) + 1
    found = []
    for number, equation in link.equations:
        if equation.primitive.name == "conv_general_dilated":
            kernel, window = equation.invars[1], _window(equation)
            if window is not None and kernel in link.inputs and uses[kernel] == 1:
                numbers = equation.params["dimension_numbers"]
                image = shape_of(equation.invars[0])
                size = image[numbers.lhs_spec[2]], image[numbers.lhs_spec[3]]
                axes = tuple(numbers.lhs_spec), tuple(numbers.rhs_spec), tuple(numbers.out_spec)
                found.append(LoweredConvolution(number, kernel, size, window, axes))
    return tuple(found)


def slow_in_xla(equation: core.JaxprEqn, operands: Sequence[jax.Array]) -> jax.Array | None:
    """The result of a convolution that XLA computes slowly on CPU; None for any other convolution.

    ``operands`` are ``float32``, and may be narrower than the program's.
    """
    window = _window(equation)
    if window is None:
        return None
    numbers = equation.params["dimension_numbers"]
    first, channels, height, width = numbers.lhs_spec
    outputs, inputs, rows, columns = numbers.rhs_spec
    image = jnp.transpose(operands[0], (first, height, width, channels))
    kernel = jnp.transpose(operands[1], (rows, columns, inputs, outputs))
    given = (window.stride, window.stride), window.padding
    if choose_lowering(image.shape, kernel.shape, *given, target()) == "xla":
        return None
    first, channels, height, width = numbers.out_spec
    return jnp.moveaxis(convolve(image, kernel, *given), (0, 3, 1, 2), (first, channels, height, width))


def depthwise(equation: core.JaxprEqn, operands: Sequence[jax.Array], groups: int) -> jax.Array | None:
    """The result of a depthwise convolution on CPU; None for any other convolution.

    ``operands`` may be narrower than the program's.
    """
    given = equation.params
    numbers = given["dimension_numbers"]
    plain = set(given["lhs_dilation"]) == {1} and given["batch_group_count"] == 1
    if target() != "cpu" or not plain or len(numbers.lhs_spec) != 4:
        return None
    first, channels, height, width = numbers.lhs_spec
    outputs, inputs, rows, columns = numbers.rhs_spec
    image = jnp.transpose(operands[0], (first, height, width, channels))
    kernel = jnp.transpose(operands[1], (rows, columns, inputs, outputs))
    if not is_depthwise(image.shape[3], kernel.shape, groups):
        return None
    # Operands of another type are rounded already; sums have the type of the program.
    dtype = equation.outvars[0].aval.dtype  # type: ignore[attr-defined]
    steps = given["window_strides"], given["padding"], given["rhs_dilation"]
    result = convolve_depthwise(image.astype(dtype), kernel.astype(dtype), *steps)
    first, channels, height, width = numbers.out_spec
    return jnp.moveaxis(result, (0, 3, 1, 2), (first, channels, height, width))


def _window(equation: core.JaxprEqn) -> Window | None:
    """Kernel, stride and padding of a plain convolution of maps; None for any other."""
    given = equation.params
    spec = given["dimension_numbers"].rhs_spec
    plain = not {*given["lhs_dilation"], *given["rhs_dilation"]} - {1}
    if len(spec) != 4 or not plain or given["feature_group_count"] != 1 or given["batch_group_count"] != 1:
        return None
    strides, padding = set(given["window_strides"]), tuple(map(tuple, given["padding"]))
    shape = shape_of(equation.invars[1])
    for padded in (True, False):
        window = Window((shape[spec[2]], shape[spec[3]]), max(strides), padded)
        if len(strides) == 1 and window.sliding.padding == padding:
            return window
    return None
