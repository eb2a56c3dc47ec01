"""The networks by name, with their costs: the ``models`` command."""

from models.cost import network_cost
from models.registry import NETWORKS


def catalogue() -> dict[str, dict[str, int]]:
    """Parameters, MACs for an image of 32x32x3, and prunable convolution filters of each network."""
    entries = {}
    for name, architecture in NETWORKS.items():
        network = architecture().blank()
        parameters, macs = network_cost(network)
        filters = sum(group.size for group in network.filter_groups if group.kind == "convolution")
        entries[name] = {"parameters": parameters, "macs": macs, "prunable_filters": filters}
    return entries
