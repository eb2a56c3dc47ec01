"""The networks by name, with their costs: the ``models`` command."""

from typing import Any

from models.cost import network_cost
from models.registry import NETWORKS


def catalogue() -> dict[str, dict[str, Any]]:
    """Of each network, for the images that it is made for: parameters, MACs, prunable filters and neurons.

    ``input_shape`` is height, width and channels of these images. ``prunable_filters`` counts the channels of
    convolutions, ``prunable_neurons`` those of hidden dense layers (``--prune all``).
    """
    entries = {}
    for name, named in NETWORKS.items():
        network = named().blank()
        parameters, macs = network_cost(network)
        sizes = {
            kind: sum(group.size for group in network.filter_groups if group.kind == kind)
            for kind in ("convolution", "dense")
        }
        entries[name] = {
            "input_shape": list(named.input_shape),
            "parameters": parameters,
            "macs": macs,
            "prunable_filters": sizes["convolution"],
            "prunable_neurons": sizes["dense"],
        }
    return entries
