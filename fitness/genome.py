"""The genome: which filters of a network a mask covers."""

from dataclasses import dataclass

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout
from models.contract import Network
from models.cost import Cost, masked_cost

GENOMES = {"convolutions": ("convolution",), "all": ("convolution", "dense")}
"""``prune`` value -> kinds of filter groups in the genome. The thesis prunes convolutions only."""


@dataclass(frozen=True)
class Genome:
    """A network and the layout of its masks; also the objective's cost model."""

    network: Network
    layout: Layout

    @classmethod
    def of(cls, network: Network, prune: str = "convolutions") -> "Genome":
        """The genome of a network.

        Raises:
            OptionError: ``prune`` is unknown, or the network has no such filters.
        """
        if prune not in GENOMES:
            raise OptionError(f"`prune` must be one of {', '.join(GENOMES)}, not {prune!r}.")
        groups = [group for group in network.filter_groups if group.kind in GENOMES[prune]]
        if not groups:
            has = "give `prune` all" if network.filter_groups else "there is nothing to prune"
            raise OptionError(f"`prune` {prune}: {network.architecture.name} has no such filters; {has}.")
        return cls(network, Layout(tuple(group.name for group in groups), tuple(group.size for group in groups)))

    def __call__(self, masks: np.ndarray) -> Cost:
        """Parameters and MACs, ``int64[n]`` each, of the networks that the masks ``bool[n, f]`` leave."""
        return masked_cost(self.network, self.layout.split(masks), len(masks))
