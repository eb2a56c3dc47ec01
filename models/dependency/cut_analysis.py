"""The dependencies of a module that was cut: those of the whole one, met again in its own program.

They are not found anew. A layer that is down to one filter, or to one group of a grouped convolution, looks
like one that never had more: its axes of extent 1 carry no labels, so groups would vanish, and others take their
names.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flax import nnx
from jax.extend import core

from models.dependency.analysis import Dependencies
from models.dependency.dimensions import shape_of
from models.dependency.groups import Grouped
from models.dependency.trace import Trace, trace
from models.dependency.walk import walk
from models.dependency.weights import weights
from models.errors import DependencyError


def analyse_cut(module: nnx.Module, whole: Dependencies, widths: Mapping[str, int]) -> Dependencies:
    """The dependencies of a smaller module, with the names, and all the groups, of the whole one.

    Args:
        module: from :func:`models.dependency.pruned.cut_module`; its arrays may be shapes only.
        whole: of the module that it was cut from.
        widths: group -> filters that are left, 1 or more; absent groups are whole.

    Raises:
        DependencyError: the module's code cannot run with so few filters, or takes another path then.
    """
    cut = trace(module, shape_of(whole.trace.image)[1:])
    same = _counterparts(whole.trace, cut)
    if same is None:
        raise DependencyError(
            f"{type(module).__name__} takes another path through its code with fewer filters; make that "
            "independent of their number."
        )
    groups = tuple(replace(group, size=widths.get(group.name, group.size)) for group in whole.filter_groups)
    carried = {same[variable]: names for variable, names in whole.found.carried.items()}
    found: Grouped = whole.found._replace(groups=groups, carried=carried)
    return Dependencies(cut, found, weights(cut, walk(cut), found), whole.left_whole)


def _counterparts(whole: Trace, cut: Trace) -> dict[Any, core.Var] | None:
    """Variables of a program -> those of one that does the same, in the same order; None if it does not."""
    one, other = whole.program.jaxpr, cut.program.jaxpr
    same: dict[Any, Any] = {}

    def meet(ours: Any, theirs: Any) -> bool:
        """Operands; a literal's value may follow from the number of channels, and is the module's own affair."""
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
