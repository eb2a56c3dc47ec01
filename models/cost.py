"""Parameters and MACs of any batch of masks, in closed form.

Parameters are trainable arrays (kernels, biases, batch norm's scale and offset, not its statistics).
MACs are multiply-accumulates of convolutions and dense layers for one image, without biases; seed 003
calls them FLOPS.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from models.axes import extent
from models.stages import ArraySpec, FilterGroup, Network


class Cost(NamedTuple):
    """``parameters`` and ``macs``, each ``int64[n]``."""

    parameters: np.ndarray
    macs: np.ndarray


def masked_cost(network: Network, keeps: Mapping[str, np.ndarray], masks: int) -> Cost:
    """Cost of the physically pruned networks.

    Args:
        network: the network that is pruned.
        keeps: group name -> ``bool[n, group size]``; absent groups are kept whole.
        masks: ``n``.
    """
    specs = (spec for stage in network.stages for spec in stage.specs().values())
    return cost_of_specs(specs, network.filter_groups, keeps, masks)


def cost_of_specs(
    specs: Iterable[ArraySpec], groups: Iterable[FilterGroup], keeps: Mapping[str, np.ndarray], masks: int
) -> Cost:
    """As :func:`masked_cost`, of the arrays that ``specs`` describe."""
    kept = {
        group.name: (
            np.count_nonzero(keeps[group.name], axis=-1).astype(np.int64)
            if group.name in keeps
            else np.full(masks, group.size, np.int64)
        )
        for group in groups
    }
    parameters = np.zeros(masks, np.int64)
    macs = np.zeros(masks, np.int64)
    for spec in specs:
        size = np.ones(masks, np.int64)
        for axis in spec.axes:
            size = size * extent(axis, kept)
        parameters += size * spec.trained
        macs += size * spec.uses
    return Cost(parameters, macs)


def network_cost(network: Network) -> tuple[int, int]:
    """Parameters and MACs of the network as it is."""
    cost = masked_cost(network, {}, 1)
    return int(cost.parameters[0]), int(cost.macs[0])
