"""A link of a module's program as a prunable stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend import core

from models.axes import groups_of
from models.dependency.analysis import Dependencies
from models.dependency.chain import Link
from models.dependency.execution import execute
from models.errors import DependencyError
from models.stages import ArraySpec, Axis, DType, Gate, Keeps, Reader
from models.state import stage_arrays


@jax.tree_util.register_dataclass
@dataclass
class Prepared:
    """Weights of a stage, and what has to be known of them while it is compiled.

    Attributes:
        values: what equations need and no image reaches, see :attr:`models.dependency.chain.Link.inputs`.
        present: group -> ``float32[width]``, 0 for a channel that only fills up.
        precision: of convolutions and matrix products.
    """

    values: list[jax.Array]
    present: dict[str, jax.Array]
    precision: DType = field(metadata={"static": True})


class TracedStage(nnx.Module):
    """Runs a link of the program for each image of a batch.

    Carry: the images first, then ``[b, *shape of the value for one image]``, the logits last. ``present``
    holds a one for each channel: what is cut out of it says how many there are, and which of them are real.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        dependencies: Dependencies,
        variables: Mapping[str, nnx.Variable],
        *,
        first: bool,
        last: bool,
    ):
        found, sizes = dependencies.found, dependencies.sizes
        self.name = name
        self.link = link
        self.dependencies = dependencies
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
        """See :class:`models.stages.Stage`."""
        specs = {f"arrays.{path}": self.dependencies.specs[path] for path in self.link.paths}
        return specs | {f"present.{name}": ArraySpec((Axis(name),), trained=False) for name in self.present}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.stages.Stage`; none, as a program may read channels in any way."""
        return ()

    def observe(self, carry: jax.Array) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`."""
        return {}

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`; not for training, which runs the module's own code.

        Raises:
            DependencyError: there are probes, for which channels would have to be the last axis of all that reads
                them.
        """
        if any(callable(keep) for keep in keeps.values()):
            raise DependencyError(
                f"layer {self.name!r} of a network of your own cannot show which values it reads; choose another "
                "method, such as taylor or magnitude."
            )
        gates = {name: keep.values for name, keep in keeps.items() if isinstance(keep, Gate)}
        slices = {name: keep for name, keep in keeps.items() if name not in gates}
        return self._run(self.prepare(stage_arrays(self), jnp.float32), carry, slices, gates)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> Prepared:
        """See :class:`models.stages.Stage`. All that no image reaches is computed here."""
        present = {name: arrays[f"present.{name}"] for name in self.present}
        values = self._constants()
        trace = self.dependencies.trace
        for variable, path in zip(trace.program.jaxpr.invars, trace.variables, strict=False):
            if path in self.link.paths:
                values[variable] = arrays[f"arrays.{path}"]
        execute(self.link.weights, values, self.dependencies.found, {}, _widths(present))
        return Prepared([values[variable] for variable in self.link.inputs], present, precision)

    def evaluate(self, prepared: Prepared, carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.stages.Stage`. Carries are ``float32`` whatever the precision."""
        return self._run(prepared, carry, keeps, {})

    def _run(
        self, prepared: Prepared, carry: jax.Array, keeps: Keeps, gates: Mapping[str, jax.Array]
    ) -> jax.Array:
        """``gates``: group -> ``float32[b, width]``."""
        widths, sizes = _widths(prepared.present), self.dependencies.sizes
        silent = {name: keeps[name] for name in widths if name in keeps}
        for name, width in widths.items():
            if name not in silent and width != sizes.get(name, width):
                silent[name] = prepared.present[name] > 0

        def of_image(value: jax.Array, gates: Mapping[str, jax.Array]) -> jax.Array:
            values = dict(zip(self.link.inputs, prepared.values, strict=True))
            values[self.link.enters] = value[None] if self.first else value
            found = self.dependencies.found
            execute(self.link.equations, values, found, {**silent, **gates}, widths, prepared.precision)
            result = values[self.link.leaves]
            return result[0].astype(jnp.float32) if self.last else result

        return jax.vmap(of_image)(carry, {name: values for name, values in gates.items() if name in widths})

    def _constants(self) -> dict[core.Var, Any]:
        program = self.dependencies.trace.program
        return dict(zip(program.jaxpr.constvars, program.consts, strict=True))


def _widths(present: Mapping[str, jax.Array]) -> dict[str, int]:
    return {name: ones.shape[0] for name, ones in present.items()}
