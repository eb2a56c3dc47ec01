"""The dependencies of a cut module, transferred from the whole module to the cut module's own program.

A new analysis would not find them. A layer with one filter left, or one group of a grouped convolution, looks
like a layer that never had more: its axes of extent 1 carry no labels, so its group would vanish and others
take its name.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flax import nnx
from jax.extend import core

from models.errors import DependencyError
from models.tracing.analysis import Dependencies, array_specs
from models.tracing.groups import Grouped
from models.tracing.labels import shape_of
from models.tracing.trace import Trace, trace
from models.tracing.walk import walk


def analyse_cut(module: nnx.Module, whole: Dependencies, widths: Mapping[str, int]) -> Dependencies:
    """The dependencies of a smaller module, with the names and all the groups of the whole module.

    Args:
        module: from :func:`models.tracing.cutting.cut_module`; its arrays may be shapes only.
        whole: of the module that it was cut from.
        widths: group -> filters that are left, 1 or more; absent groups are whole.

    Raises:
        DependencyError: the module's code cannot run with so few filters, or then takes another path.
    """
    cut = trace(module, shape_of(whole.trace.image)[1:])
    same = _counterparts(whole.trace, cut)
    if same is None:
        raise DependencyError(
            f"{type(module).__name__} takes another path through its code with fewer filters; make the path "
            "independent of their number."
        )
    groups = tuple(replace(group, size=widths.get(group.name, group.size)) for group in whole.filter_groups)
    carried = {same[variable]: names for variable, names in whole.found.carried.items()}
    axes = {same[variable]: forms for variable, forms in whole.found.axes.items()}
    found: Grouped = whole.found._replace(groups=groups, carried=carried, axes=axes)
    specs = {
        path: replace(spec, outputs=whole.specs[path].outputs)
        for path, spec in array_specs(cut, walk(cut), found).items()
    }
    return Dependencies(cut, found, specs, whole.left_whole)


def _counterparts(whole: Trace, cut: Trace) -> dict[Any, core.Var] | None:
    """Variables of a program -> variables of an equal program; None if the programs differ."""
    one, other = whole.program.jaxpr, cut.program.jaxpr
    same: dict[Any, Any] = {}

    def meet(ours: Any, theirs: Any) -> bool:
        """Whether two operands match; values of literals may differ, because they may depend on the widths."""
        if isinstance(ours, core.Literal) or isinstance(theirs, core.Literal):
            return isinstance(ours, core.Literal) and isinstance(theirs, core.Literal)
        return same.get(ours) is theirs

    if list(whole.variables) != list(cut.variables) or len(one.constvars) != len(other.constvars):
        return None
    same |= zip([*one.constvars, *one.invars], [*other.constvars, *other.invars], strict=True)
    if len(one.eqns) != len(other.eqns):
        return None
    for ours, theirs in zip(one.eqns, other.eqns, strict=True):
        alike = ours.primitive is theirs.primitive and len(ours.invars) == len(theirs.invars)
        if not (alike and all(map(meet, ours.invars, theirs.invars))):
            return None
        same |= zip(ours.outvars, theirs.outvars, strict=True)
    return same if all(map(meet, one.outvars, other.outvars)) else None
