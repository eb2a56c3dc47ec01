"""An initial population that knows something: founders at a ladder of removal ratios for each importance.

Of ``population`` individuals half, rounded down, are seeds; the others are the paper's, near the original
(:func:`engine.operators.near_original`). The seeds are dealt out evenly to each method, globally and by layer.
Those of one method and scope stand on a ladder: of *n* seeds, number *i* removes the least important filters up
to the share ``LARGEST_REMOVAL * ((i + u) / n) ** 2``, u uniform in [0, 1): denser where little is removed. ``u``
is drawn anew for each seed, by the generator of its island, so that islands get rungs of their own.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from engine.config import SearchSettings
from engine.errors import OptionError
from engine.layout import Layout
from engine.operators import near_original
from fitness.ranking import SCOPES, masks_along, removal_count, removal_order

LARGEST_REMOVAL = 0.8
"""Beyond it no network is known to live without retraining."""

NEAR_ORIGINAL = "near-original"
"""The origin of the paper's individuals."""


def check_places(population: int, methods: int) -> None:
    """Make sure that every method gets a seed globally and by layer.

    Raises:
        OptionError: the population is too small.
    """
    needed = 2 * len(SCOPES) * methods
    if population < needed:
        raise OptionError(
            f"--population {population} has too few places for --seed-with: half of them are seeds, and each of "
            f"{methods} methods needs one globally and one by layer; raise it to {needed} or name fewer methods."
        )


class SeededFounders:
    """Implements :class:`engine.contracts.Founders`."""

    def __init__(self, importances: Mapping[str, np.ndarray], layout: Layout, settings: SearchSettings):
        """``importances``: by method, each ``float64[n_filters]``.

        Raises:
            OptionError: see :func:`check_places`.
        """
        check_places(settings.population, len(importances))
        self.origins = (NEAR_ORIGINAL, *importances)
        self._layout = layout
        seeds = settings.population // 2
        self._near_original = partial(
            near_original,
            layout=layout,
            count=settings.population - seeds,
            largest_removal=settings.initial_removal,
        )
        self._orders = [
            (number, removal_order(importance, layout, scope=scope))
            for scope in SCOPES
            for number, importance in enumerate(importances.values(), 1)
        ]
        self._lengths = [len(part) for part in np.array_split(np.arange(seeds), len(self._orders))]

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`engine.contracts.Founders`; the paper's individuals stand first."""
        masks = [self._near_original(rng)]
        numbers = [0] * len(masks[0])
        for (number, order), length in zip(self._orders, self._lengths, strict=True):
            ratios = LARGEST_REMOVAL * ((np.arange(length) + rng.random(length)) / length) ** 2
            removed = np.array([removal_count(ratio, self._layout) for ratio in ratios])
            masks.append(masks_along(order, removed, self._layout))
            numbers += [number] * length
        return np.concatenate(masks), np.array(numbers, np.uint8)
