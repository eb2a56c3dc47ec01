"""Parameters and MACs of any batch of masks, in closed form.

Parameters are trainable arrays (kernels, biases, batch norm's scale and offset, not its statistics).
MACs are multiply-accumulates of convolutions and dense layers for one image, without biases; the thesis calls
them FLOPS.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from models.axes import ArraySpec, extent
from models.contract import FilterGroup, Network


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
    kept = _kept(network.filter_groups, keeps, masks)
    costs = [_cost(stage.specs().values(), kept, masks) for stage in network.stages]
    zeros = np.zeros(masks, np.int64)
    return Cost(sum((cost.parameters for cost in costs), zeros), sum((cost.macs for cost in costs), zeros))


def network_cost(network: Network) -> tuple[int, int]:
    """Parameters and MACs of the network as it is."""
    cost = masked_cost(network, {}, 1)
    return int(cost.parameters[0]), int(cost.macs[0])


def stage_costs(network: Network) -> list[tuple[int, int]]:
    """Parameters and MACs of each stage of the network as it is."""
    kept = _kept(network.filter_groups, {}, 1)
    costs = [_cost(stage.specs().values(), kept, 1) for stage in network.stages]
    return [(int(cost.parameters[0]), int(cost.macs[0])) for cost in costs]


def cost_of_specs(
    specs: Iterable[ArraySpec], groups: Iterable[FilterGroup], keeps: Mapping[str, np.ndarray], masks: int
) -> Cost:
    """As :func:`masked_cost`, of the arrays that ``specs`` describe."""
    return _cost(specs, _kept(groups, keeps, masks), masks)


def _kept(groups: Iterable[FilterGroup], keeps: Mapping[str, np.ndarray], masks: int) -> dict[str, np.ndarray]:
    """Group name -> channels that each mask keeps, ``int64[n]``."""
    return {
        group.name: (
            np.count_nonzero(keeps[group.name], axis=-1).astype(np.int64)
            if group.name in keeps
            else np.full(masks, group.size, np.int64)
        )
        for group in groups
    }


def _cost(specs: Iterable[ArraySpec], kept: Mapping[str, np.ndarray], masks: int) -> Cost:
    parameters = np.zeros(masks, np.int64)
    macs = np.zeros(masks, np.int64)
    for spec in specs:
        size = np.ones(masks, np.int64)
        for axis in spec.axes:
            size = size * extent(axis, kept)
        parameters += size * spec.trained
        macs += size * spec.uses
    return Cost(parameters, macs)
