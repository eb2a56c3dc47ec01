"""Running a module's program under a mask, at the widths that its operands have."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from models.axes import Axis, Joined, extent, groups_of, parts_of
from models.contract import DType, Keeps
from models.tracing.groups import CONTRACTIONS, ChannelRead, Cut, Grouped
from models.tracing.inlining import bind
from models.tracing.labels import shape_of
from models.tracing.lowered import LoweredConvolution, depthwise, slow_in_xla


def masked_program(
    program: core.ClosedJaxpr, found: Grouped, sizes: Mapping[str, int]
) -> Callable[[Sequence[Any], jax.Array, Keeps], jax.Array]:
    """A module's program under a mask.

    A removed channel is silenced only where an equation sums over it. So it leaves the same trace as if it were
    gone, whatever is done to it in between (the sigmoid of a silent channel would not be 0).

    Args:
        program: see :class:`models.tracing.trace.Trace`.
        found: the equations that sum over channels.
        sizes: channels of each group.

    Returns:
        From arrays, images ``[b, ...]`` and keeps (:data:`models.contract.Keeps`) to logits ``[b, classes]``.
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


def execute(
    equations: Iterable[tuple[int, core.JaxprEqn]],
    values: dict[core.Var, Any],
    found: Grouped,
    keeps: Keeps,
    widths: Mapping[str, int],
    precision: DType = jnp.float32,
    lowered: Mapping[int, LoweredConvolution] = MappingProxyType({}),
) -> None:
    """Add the results of equations to ``values``.

    Args:
        equations: with their numbers in the program.
        values: of the program's variables so far.
        found: the equations that sum over channels, and the shapes that follow from the number of channels.
        keeps: group -> ``bool[width]``, True = keep, or ``float32[width]``, by which channels are multiplied;
            absent groups are kept whole.
        widths: channels of each group in ``values``.
        precision: type of the operands of convolutions and matrix products; sums keep their own type.
        lowered: number of an equation -> how it is computed; its kernel is prepared.
    """
    for number, equation in equations:
        operands = [atom.val if isinstance(atom, core.Literal) else values[atom] for atom in equation.invars]
        reads = found.reads.get(number, ())
        if number in lowered:
            # Of a silent channel, nothing in the kernel counts.
            reads = tuple(read for read in reads if read.operand == 0)
        _silence(operands, reads, keeps, widths)
        if number in lowered:
            values[equation.outvars[0]] = lowered[number].convolve(*operands)
            continue
        changed: dict[str, Any] = {}
        if number in found.shapes:
            changed = _shape(equation, tuple(extent(axis, widths) for axis in found.shapes[number]))
        if number in found.cuts:
            changed = _bounds(equation, found.cuts[number], changed, widths)
        if equation.primitive.name == "gather":
            changed = _taken_whole(equation, operands[0].shape)
        if equation.primitive.name in CONTRACTIONS:
            if precision != jnp.float32:
                changed["preferred_element_type"] = jnp.result_type(*operands)
                operands = [operand.astype(precision) for operand in operands]
            if equation.primitive.name == "conv_general_dilated":
                numbers = equation.params["dimension_numbers"]
                each = operands[1].shape[numbers.rhs_spec[1]]
                changed["feature_group_count"] = groups = operands[0].shape[numbers.lhs_spec[1]] // each
                result = None
                if groups > 1:
                    result = depthwise(equation, operands, groups)
                elif precision == jnp.float32:
                    result = slow_in_xla(equation, operands)
                if result is not None:
                    values[equation.outvars[0]] = result
                    continue
        values.update(zip(equation.outvars, bind(equation, operands, changed), strict=True))


def _shape(equation: core.JaxprEqn, shape: tuple[int, ...]) -> dict[str, Any]:
    """The parameters of an equation that state the shape of its result."""
    if equation.primitive.name == "reshape":
        return {"new_sizes": shape}
    if equation.primitive.name == "broadcast_in_dim":
        return {"shape": shape}
    if equation.primitive.name == "split":
        axis, sizes = equation.params["axis"], equation.params["sizes"]
        # Parts of channels have one extent; parts of other axes are as they were.
        return {"sizes": sizes if shape[axis] == sizes[0] else (shape[axis],) * len(sizes)}
    # A slice leaves axes of channels whole; only their extents differ.
    limits = equation.params["limit_indices"]
    extents, taken = shape_of(equation.invars[0]), shape_of(equation.outvars[0])
    axes = zip(shape, extents, taken, limits, strict=True)
    return {"limit_indices": tuple(now if whole == part else limit for now, whole, part, limit in axes)}


def _taken_whole(equation: core.JaxprEqn, shape: tuple[int, ...]) -> dict[str, Any]:
    """The sizes of what a gather takes: axes that were taken whole still are."""
    axes = zip(equation.params["slice_sizes"], shape_of(equation.invars[0]), shape, strict=True)
    return {"slice_sizes": tuple(now if size == whole else size for size, whole, now in axes)}


def _bounds(
    equation: core.JaxprEqn, cut: Cut, changed: Mapping[str, Any], widths: Mapping[str, int]
) -> dict[str, Any]:
    """The bounds of a slice of channels; the other axes are those of ``changed``."""
    start = extent(cut.front, widths)
    starts, limits = list(equation.params["start_indices"]), list(changed["limit_indices"])
    starts[cut.axis], limits[cut.axis] = start, start + extent(cut.taken, widths)
    return {"start_indices": tuple(starts), "limit_indices": tuple(limits)}


def _silence(operands: list[Any], reads: Sequence[ChannelRead], keeps: Keeps, widths: Mapping[str, int]) -> None:
    """Silence or gate, in place, the operands that an equation sums over; arguments as for :func:`execute`.

    A select, not a product: a removed channel that holds NaN must leave no trace.
    """
    for read in reads:
        if any(group in keeps for group in groups_of(read.runs_over)):
            operand = operands[read.operand]
            shape = [1] * operand.ndim
            shape[read.axis] = operand.shape[read.axis]
            keep = _along(read.runs_over, keeps, widths).reshape(shape)
            if keep.dtype == bool:
                operands[read.operand] = jnp.where(keep, operand, jnp.zeros((), operand.dtype))
            # One gate for each sum of products: on the first operand, which is the image in a convolution.
            elif read.operand == 0:
                operands[read.operand] = operand * keep


def _along(axis: Axis | Joined, keeps: Keeps, widths: Mapping[str, int]) -> jax.Array:
    """The kept indices of an axis, as ``bool[extent]``; ``float32`` where a group is gated."""
    kept = []
    for part in parts_of(axis):
        if isinstance(part, Axis) and part.group in keeps:
            kept.append(jnp.tile(jnp.repeat(jnp.asarray(keeps[part.group]), part.run), part.positions))
        else:
            kept.append(jnp.ones(extent(part, widths), bool))
    return jnp.tile(jnp.concatenate(kept), axis.positions if isinstance(axis, Joined) else 1)
