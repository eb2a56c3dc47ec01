"""What operators may know about filters: orders in which those of a layer would leave."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.layout import Layout


@dataclass(frozen=True)
class Guide:
    """Orders of the filters within their layers, constant for a whole search.

    ``places``: ``float64[orders, f]``, at least one order; a filter that is number *i* from below of *n* in its
    layer has the place ``(i + 0.5) / n``: near 0 leaves first, near 1 last.
    """

    places: np.ndarray

    @classmethod
    def of(cls, priorities: Sequence[np.ndarray], layout: Layout) -> "Guide":
        """From numbers ``float64[f]`` that order a layer's filters, higher = keep; of equals the first leaves."""
        return cls(np.stack([_places(priority, layout) for priority in priorities]))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """``float64[count, f]``: places by an order drawn for each row, blurred.

        The noise is Gaussian; its spread, drawn for each row, is a share of a layer from 1% to 100%, smaller
        ones as likely as larger (log-uniform), so that some rows follow the order closely and some hardly.
        """
        orders = rng.integers(len(self.places), size=count)
        spread = 100.0 ** -rng.random((count, 1))
        return self.places[orders] + spread * rng.standard_normal((count, self.places.shape[1]))


def _places(priority: np.ndarray, layout: Layout) -> np.ndarray:
    parts = layout.split(priority).values()
    return np.concatenate([(np.argsort(np.argsort(part, kind="stable")) + 0.5) / len(part) for part in parts])
