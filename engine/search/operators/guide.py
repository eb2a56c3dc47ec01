"""Guided mutation: filters leave and return in an order that importances suggest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.layout import Layout

EXPONENT = 1.5
"""Exponent of the power law of amounts; Doerr et al. recommend 1.5."""


@dataclass(frozen=True)
class Guide:
    """Orders of the filters within their layers, the same for a whole search.

    ``places``: ``float64[orders, f]``, at least one order. Filter *i*, counted from below, of the *n* filters of
    a layer has the place ``(i + 0.5) / n``: a filter near 0 leaves first, a filter near 1 last.
    """

    places: np.ndarray

    @classmethod
    def of(cls, priorities: Sequence[np.ndarray], layout: Layout) -> "Guide":
        """Orders from priorities ``float64[f]``, higher = keep; of equal filters the first leaves first."""
        return cls(np.stack([_places(priority, layout) for priority in priorities]))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """``float64[count, f]``: the places of one order, drawn for each row, plus Gaussian noise.

        The spread of the noise is drawn for each row too, from 1% to 100% of a layer, log-uniformly. So some rows
        follow the order closely and some hardly at all.
        """
        orders = rng.integers(len(self.places), size=count)
        spread = 100.0 ** -rng.random((count, 1))
        return self.places[orders] + spread * rng.standard_normal((count, self.places.shape[1]))


def move_budget(rng: np.random.Generator, masks: np.ndarray, layout: Layout, guide: Guide) -> np.ndarray:
    """``bool[n, f]``: in each row, the guide's first filters leave one layer, drawn at random.

    In half of the rows, the guide's last removed filters return to another layer. Both amounts are heavy-tailed.
    Every layer keeps a filter.
    """
    rows, layers = np.arange(len(masks)), len(layout.sizes)
    keys = guide.draw(rng, len(masks))
    kept = layout.kept(masks)
    layer = np.repeat(np.arange(layers), layout.sizes)
    donor = rng.integers(layers, size=len(masks))
    recipient = (donor + rng.integers(1, max(2, layers), size=len(masks))) % layers
    leaving = heavy_tailed(rng, np.maximum(0, kept[rows, donor] - 1))
    returning = heavy_tailed(rng, np.asarray(layout.sizes)[recipient] - kept[rows, recipient])
    returning[rng.random(len(masks)) < 0.5] = 0
    gone = lowest(keys, masks & (layer == donor[:, None]), leaving)
    back = lowest(-keys, ~masks & (layer == recipient[:, None]), returning)
    return (masks & ~gone) | back


def heavy_tailed(rng: np.random.Generator, largest: np.ndarray) -> np.ndarray:
    """``int64[n]``: amounts from 1 to ``largest``, ``int[n]``; 0 where ``largest`` is 0.

    Amounts follow a power law: mostly small, now and then large, with no rate to tune. Doerr, Le, Makhmara and
    Nguyen, "Fast genetic algorithms", GECCO 2017, arXiv:1703.03334.
    """
    tail = 1 - EXPONENT
    share = rng.random(len(largest)) * (1 - (largest + 1.0) ** tail)
    return np.minimum(((1 - share) ** (1 / tail)).astype(np.int64), largest)


def lowest(keys: np.ndarray, eligible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``bool[n, f]``: in each row, the ``counts``, ``int[n]``, eligible filters with the lowest keys."""
    order = np.argsort(np.where(eligible, keys, np.inf), axis=1, kind="stable")
    chosen = np.zeros(eligible.shape, bool)
    np.put_along_axis(chosen, order, np.arange(eligible.shape[1]) < counts[:, None], axis=1)
    return chosen & eligible


def _places(priority: np.ndarray, layout: Layout) -> np.ndarray:
    parts = layout.split(priority).values()
    return np.concatenate([(np.argsort(np.argsort(part, kind="stable")) + 0.5) / len(part) for part in parts])
