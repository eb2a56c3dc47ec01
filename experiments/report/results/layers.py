"""Filters, parameters and MACs of each layer before and after pruning."""

from typing import Any

import numpy as np

from engine.layout import Layout
from models.contract import Network
from models.cost import stage_costs


def layer_widths(network: Network, layout: Layout, mask: np.ndarray) -> list[dict[str, Any]]:
    """Every group of filters in order of the network, including groups that were not searched."""
    kept = dict(zip(layout.names, map(int, layout.kept(mask)), strict=True))
    return [
        {
            "name": group.name,
            "filters": group.size,
            "kept": kept.get(group.name, group.size),
            "searched": group.name in kept,
        }
        for group in network.filter_groups
    ]


def stage_savings(original: Network, pruned: Network) -> list[dict[str, Any]]:
    """Remaining parameters and MACs of each stage, and their drops (None for a stage without any)."""
    savings = []
    for stage, before, after in zip(original.stages, stage_costs(original), stage_costs(pruned), strict=True):
        (parameters, macs), (left, macs_left) = before, after
        savings.append(
            {
                "name": stage.name,
                "parameters": left,
                "parameter_drop": _drop(parameters, left),
                "macs": macs_left,
                "mac_drop": _drop(macs, macs_left),
            }
        )
    return savings


def _drop(base: int, left: int) -> float | None:
    return 100 * (base - left) / base if base else None
