"""Which slices of which array belong to which channel."""

from flax import nnx

from models.dependency.groups import Grouped
from models.dependency.trace import Trace
from models.dependency.walk import Walked
from models.stages import ArraySpec


def weights(trace: Trace, walked: Walked, found: Grouped) -> dict[str, ArraySpec]:
    """What each axis of each parameter and batch statistic means, by path."""
    return {
        path: ArraySpec(
            axes,
            uses=walked.context.uses.get(path, 0),
            trained=isinstance(trace.variables[path], nnx.Param),
        )
        for path, axes in found.arrays.items()
    }
