"""Importance by the scale of batch norm.

Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming" (ICCV), arXiv:1708.06519.
The paper trains with an L1 penalty on the scales, which evoprune does not; a network trained without the penalty
is ranked all the same.
"""

from collections.abc import Mapping

import numpy as np

from fitness.importance.contract import ImportanceError, Subject
from fitness.importance.layers import joined, sums_by_channel
from models.arrays import stage_arrays
from models.axes import groups_of
from models.contract import Network


def slimming(subject: Subject) -> np.ndarray:
    """Absolute scale of the batch norm behind a filter.

    As in the paper, one ranking of all layers compares the scales themselves. For channels with several batch
    norms (tied by a shortcut, or normalised where they are read) the mean of their absolute scales counts, so
    that such channels compare with others. Images are not used.

    Raises:
        ImportanceError: a layer has no batch norm with a scale behind it, or none can be found.
    """
    network = subject.model.network
    found = _mean_scales(network)
    missing = [name for name in subject.layout.names if name not in found]
    if missing:
        convolutions = {group.name for group in network.filter_groups if group.kind == "convolution"}
        remedy = "or give `prune` convolutions" if convolutions <= found.keys() else "and rank by another method"
        raise ImportanceError(
            "slimming needs the scale of a batch norm behind each layer, and none can be found behind layer "
            f"{missing[0]!r} of {network.architecture.name}; leave slimming out, {remedy}."
        )
    return joined(subject, found)


def _mean_scales(network: Network) -> Mapping[str, np.ndarray]:
    """Group -> ``float64[group size]``: the mean absolute scale; without groups that have no scale."""
    sizes = {group.name: group.size for group in network.filter_groups}
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, np.ndarray] = {}
    for stage in network.stages:
        specs, arrays = stage.specs(), stage_arrays(stage)
        for norm in stage.norms():
            if norm.scale is None:
                continue
            spec, scale = specs[norm.scale], np.asarray(arrays[norm.scale])
            for group in dict.fromkeys(groups_of(spec.axes[spec.outputs])):
                for total, numbers in ((sums, np.abs(scale)), (counts, np.ones_like(scale))):
                    by_channel = sums_by_channel(numbers, spec, group, sizes)
                    total[group] = total[group] + by_channel if group in total else by_channel
    return {group: sums[group] / counts[group] for group in sums}
