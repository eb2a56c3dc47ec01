"""What is left of each layer: its filters, its parameters and its MACs."""

from typing import Any

import numpy as np

from engine.layout import Layout
from models.cost import stage_costs
from models.stages import Network


def layer_widths(network: Network, layout: Layout, mask: np.ndarray) -> list[dict[str, Any]]:
    """Every group of filters in order of the network, those that the search leaves alone too."""
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
    """Parameters and MACs that are left of each stage, and their drops (None where there were none)."""
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
