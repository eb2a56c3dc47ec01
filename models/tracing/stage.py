"""A link of a module's program as a prunable stage."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend import core

from models.arrays import stage_arrays
from models.axes import ArraySpec, Axis, groups_of
from models.contract import DType, Gate, Keeps, Matching, Norm
from models.lowering.choice import target
from models.lowering.contract import in_steps
from models.readers import Reader
from models.tracing.analysis import Dependencies
from models.tracing.chain import Link
from models.tracing.execution import execute
from models.tracing.lowered import lowered_convolutions
from models.tracing.readers.finding import LinkReaders, Shown
from models.tracing.readers.maps import FeatureMap
from models.tracing.readers.norms import IMAGES, TracedNorm
from models.tracing.readers.terms import TracedSum


@jax.tree_util.register_dataclass
@dataclass
class Prepared:
    """Weights of a stage in the form that it evaluates.

    Attributes:
        values: of the variables :attr:`models.tracing.chain.Link.inputs`.
        present: group -> ``float32[width]``, 0 for a channel that is only padding.
        precision: of convolutions and matrix products; static while compiling.
        lowered: whether kernels are those of :attr:`TracedStage.lowered`; static too.
    """

    values: list[jax.Array]
    present: dict[str, jax.Array]
    precision: DType = field(metadata={"static": True})
    lowered: bool = field(default=False, metadata={"static": True})


class TracedStage(nnx.Module):
    """Runs a link of the program for each image of a batch.

    Carry: the images first, then ``[b, *shape of the value for one image]``, the logits last. ``present`` holds a
    one for each channel. The part of it that compaction cuts out tells how many channels are left, and which are
    real and which are padding.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        dependencies: Dependencies,
        found_readers: LinkReaders,
        found_norms: tuple[TracedNorm, ...],
        found_maps: tuple[FeatureMap, ...],
        variables: Mapping[str, nnx.Variable],
        *,
        first: bool,
        last: bool,
    ):
        found, sizes = dependencies.found, dependencies.sizes
        self.name = name
        self.link = link
        self.dependencies = dependencies
        self.found_readers = found_readers
        self.found_norms = found_norms
        self.lowered = lowered_convolutions(link)
        self.found_maps = found_maps
        self.first, self.last = first, last
        enters, leaves = found.carried[link.enters], found.carried[link.leaves]
        summed = {
            group
            for number, _ in link.equations
            for read in found.reads.get(number, ())
            for group in groups_of(read.runs_over)
        }
        held = {
            group for path in link.paths for axis in dependencies.specs[path].axes for group in groups_of(axis)
        }
        self.reads = enters[0] if len(enters) == 1 else None
        self.writes = leaves[0] if len(leaves) == 1 else None
        touched = {*enters, *leaves, *summed, *held}
        elsewhere = {self.reads} if self.writes in summed else {self.reads, self.writes}
        self.groups = tuple(name for name in sizes if name in touched - elsewhere)
        self.arrays = nnx.Dict({path: variables[path] for path in link.paths})
        self.present = nnx.Dict({name: nnx.BatchStat(jnp.ones(sizes[name])) for name in sizes if name in touched})

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.contract.Stage`."""
        specs = {f"arrays.{path}": self.dependencies.specs[path] for path in self.link.paths}
        return specs | {f"present.{name}": ArraySpec((Axis(name),), trained=False) for name in self.present}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.contract.Stage`."""
        return self.found_readers.readers

    def observe(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return self._shown(self.found_readers.shown, carry, keeps)

    def sums(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return self._shown(self.found_readers.sums, carry, keeps)

    def _shown(
        self, shown: Mapping[str, Shown | TracedSum], carry: jax.Array, keeps: Keeps
    ) -> dict[str, jax.Array]:
        """Values of the program by the paths of kernels."""
        prepared = self._prepared(stage_arrays(self), jnp.float32)
        return self._run(
            prepared, carry, keeps, {}, lambda values: {path: value.of(values) for path, value in shown.items()}
        )

    def maps(self, carry: jax.Array) -> dict[str, list[jax.Array]]:
        """See :class:`models.contract.Stage`."""

        def shown(values: Mapping[core.Var, jax.Array]) -> dict[str, list[jax.Array]]:
            maps: dict[str, list[jax.Array]] = {}
            for found in self.found_maps:
                for group, arrays in found.of(values, self.dependencies.sizes).items():
                    maps.setdefault(group, []).extend(arrays)
            return maps

        return self._run(self._prepared(stage_arrays(self), jnp.float32), carry, {}, {}, shown)

    def norms(self) -> tuple[Norm, ...]:
        """See :class:`models.contract.Stage`."""
        return tuple(found.norm for found in self.found_norms)

    def calibrate(
        self,
        arrays: Mapping[str, jax.Array],
        precision: DType,
        carry: jax.Array,
        keeps: Keeps,
        measured: Collection[Norm],
        matchings: Mapping[str, Matching] | None,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """See :class:`models.contract.NormedStage`."""
        statistics: dict[str, jax.Array] = {}

        def normalise(norm: TracedNorm, values: dict[core.Var, Any]) -> None:
            found = norm.measured(values)
            if matchings is None:
                statistics.update(found)
                return
            paths = norm.norm.mean, norm.norm.variance
            matched = matchings[norm.norm.mean].of(*(found[path] for path in paths))
            statistics.update(zip(paths, matched, strict=True))
            fresh = self._prepared({**arrays, **statistics}, precision)
            values.update(zip(self.link.inputs, fresh.values, strict=True))

        before = {found.number: partial(normalise, found) for found in self.found_norms if found.norm in measured}
        prepared = self._prepared(arrays, precision)

        def result(values: Mapping[core.Var, jax.Array]) -> tuple[dict[str, jax.Array], jax.Array]:
            return statistics, self._carry(values)

        return self._run(prepared, carry, keeps, {}, result, before, (None, 0))

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.contract.Stage`; not for training, which runs the module's own code."""
        gates = {name: keep.values for name, keep in keeps.items() if isinstance(keep, Gate)}
        slices = {name: keep for name, keep in keeps.items() if name not in gates}
        return self._run(self._prepared(stage_arrays(self), jnp.float32), carry, slices, gates, self._carry)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> Prepared:
        """See :class:`models.contract.Stage`. Computes everything that depends on arrays alone."""
        prepared = self._prepared(arrays, precision)
        if precision != jnp.float32 or target() != "cpu":
            return prepared
        kernels = {found.kernel: found for found in self.lowered}
        values = [
            kernels[variable].prepare(value) if variable in kernels else value
            for variable, value in zip(self.link.inputs, prepared.values, strict=True)
        ]
        return replace(prepared, values=values, lowered=True)

    def _prepared(self, arrays: Mapping[str, jax.Array], precision: DType) -> Prepared:
        """The weights as the program has them."""
        present = {name: arrays[f"present.{name}"] for name in self.present}
        values = self._constants()
        trace = self.dependencies.trace
        for variable, path in zip(trace.program.jaxpr.invars, trace.variables, strict=False):
            if path in self.link.paths:
                values[variable] = arrays[f"arrays.{path}"]
        execute(self.link.weights, values, self.dependencies.found, {}, _widths(present))
        return Prepared([values[variable] for variable in self.link.inputs], present, precision)

    def evaluate(self, prepared: Prepared, carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.contract.Stage`. Carries are ``float32`` whatever the precision."""
        if not prepared.lowered:
            return self._run(prepared, carry, keeps, {}, self._carry)
        values = dict(zip(self.link.inputs, prepared.values, strict=True))
        wanted = (found.images_per_step(values[found.kernel]) for found in self.lowered)
        return in_steps(
            lambda images: self._run(prepared, images, keeps, {}, self._carry),
            carry,
            min((images for images in wanted if images is not None), default=None),
        )

    def _run(
        self,
        prepared: Prepared,
        carry: jax.Array,
        keeps: Keeps,
        gates: Mapping[str, jax.Array],
        result: Callable[[Mapping[core.Var, jax.Array]], Any],
        before: Mapping[int, Callable[[dict[core.Var, Any]], None]] = MappingProxyType({}),
        axes: Any = 0,
    ) -> Any:
        """Run the equations for each image.

        Args:
            prepared: see :meth:`evaluate`.
            carry: of the images.
            keeps: slices alone.
            gates: group -> ``float32[b, width]``.
            result: the result for one image, from the values of all variables.
            before: number of an equation -> what to do first, with the values of all variables so far.
            axes: of the images in the results, as ``out_axes`` of :func:`jax.vmap`.
        """
        widths, sizes = _widths(prepared.present), self.dependencies.sizes
        silent = {name: keeps[name] for name in widths if name in keeps}
        for name, width in widths.items():
            if name not in silent and width != sizes.get(name, width):
                silent[name] = prepared.present[name] > 0

        lowered = {each.number: each for each in self.lowered} if prepared.lowered else {}

        def of_image(value: jax.Array, gates: Mapping[str, jax.Array]) -> Any:
            values = dict(zip(self.link.inputs, prepared.values, strict=True))
            values[self.link.enters] = value[None] if self.first else value
            found = self.dependencies.found
            for number, equation in self.link.equations:
                if number in before:
                    before[number](values)
                execute(
                    [(number, equation)], values, found, {**silent, **gates}, widths, prepared.precision, lowered
                )
            return result(values)

        of_images = jax.vmap(of_image, out_axes=axes, axis_name=IMAGES)
        return of_images(carry, {name: values for name, values in gates.items() if name in widths})

    def _carry(self, values: Mapping[core.Var, jax.Array]) -> jax.Array:
        """The carry behind the link, for one image."""
        carry = values[self.link.leaves]
        return carry[0].astype(jnp.float32) if self.last else carry

    def _constants(self) -> dict[core.Var, Any]:
        program = self.dependencies.trace.program
        return dict(zip(program.jaxpr.constvars, program.consts, strict=True))


def _widths(present: Mapping[str, jax.Array]) -> dict[str, int]:
    return {name: ones.shape[0] for name, ones in present.items()}
