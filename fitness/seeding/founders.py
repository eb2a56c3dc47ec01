"""Initial populations with seeds: masks that remove the filters of least importance.

Half of the population, rounded down, are seeds. The other individuals are those of the thesis, near the original
(:func:`engine.search.operators.population.near_original`). The seeds are distributed evenly over several orders
of removal. Each method has one global order for each floor, and one order by layer
(:func:`fitness.seeding.ranking.removal_order`). Of the *n* seeds of an order, seed *i* removes the first
filters up to the share ``largest * ((i + u) / n) ** 2``, which is denser where few filters are removed. ``u``
is uniform in [0, 1) and drawn for each seed by the generator of its island, so the seeds of islands differ.

With ``round_to`` the widths of a seed are rounded up along its order. That restores the filters that would
leave last, and keeps a good order, which random removal (:mod:`engine.search.operators.rounding`) would spoil.

If the founders climb, all individuals are seeds. For each order the largest feasible removal is searched first,
coarsely (:func:`fitness.seeding.ladder.climb`). Of its *n* seeds, seed *i* removes the share ``1 - below * ((i
- u) / n) ** 2`` of that removal, and seed 0 all of it. Generation 0 then begins near the border of feasibility.
For a front ``below`` is 1, and generation 0 covers everything up to that border.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.contracts import Evaluator, Objective
from engine.errors import OptionError
from engine.layout import Layout
from engine.search.operators.population import near_original
from engine.search.settings import SearchSettings
from fitness.seeding.ladder import climb
from fitness.seeding.ranking import SCOPES, check_scope, masks_along, removal_count, removal_order

LARGEST_REMOVAL = 0.8
"""Largest share of filters that seeds remove. No known network survives more without retraining."""

LARGEST_COMPENSATED_REMOVAL = 0.98
"""As :data:`LARGEST_REMOVAL`, with compensation."""

BELOW = 0.3
"""Share of the border's removal by which the lowest seeds of a climb fall short."""

NEAR_ORIGINAL = "near-original"
"""The origin of the individuals of the thesis."""

_RUNGS, _FINER, _RESOLUTION = 1, 1, 0.02
"""Of a climb: bisection with about 8 masks for each order, to within a fiftieth of its filters.

Masks along an order share little work, because most layers lose filters at every rung. So few masks are fastest.
"""


@dataclass(frozen=True)
class Ladders:
    """How seeds are placed along the orders of their importances.

    Attributes:
        floors: shares of each layer that stay in seeds; there is an order for each.
        climbs: whether the largest feasible removal of each order is searched first.
        largest: largest share of filters that seeds remove without a climb.

    Raises:
        OptionError: a floor is outside 0 to 1, or given twice.
    """

    floors: tuple[float, ...] = (0.0,)
    climbs: bool = False
    largest: float = LARGEST_REMOVAL

    def __post_init__(self) -> None:
        for floor in self.floors:
            check_scope("global", floor)
            if self.floors.count(floor) > 1:
                raise OptionError(f"`floor` names {floor:g} twice; name each share once.")

    def check_places(self, population: int, methods: int) -> None:
        """Check that every order gets a seed.

        Raises:
            OptionError: the population is too small.
        """
        orders = (len(self.floors) + 1) * methods
        needed = orders if self.climbs else 2 * orders
        if population < needed:
            seeds = "all" if self.climbs else "half"
            floors = "one globally" if len(self.floors) == 1 else f"{len(self.floors)} globally (`floor`)"
            raise OptionError(
                f"`population` {population} has too few places for `seed_with`: {seeds} of them are seeds, and "
                f"each of {methods} methods needs {floors} and one by layer; raise it to {needed} or name fewer "
                "methods."
            )


PLAIN = Ladders()
"""Seeds without a floor, together with the individuals of the thesis."""


class SeededFounders:
    """Implements :class:`engine.contracts.Founders`."""

    def __init__(
        self,
        importances: Mapping[str, np.ndarray],
        layout: Layout,
        settings: SearchSettings,
        objective: Objective,
        ladders: Ladders = PLAIN,
        below: float = BELOW,
    ):
        """``importances``: by method, each ``float64[n_filters]``.

        ``objective`` decides where a climb ends. ``below``: share by which the lowest seeds are below that
        border.

        Raises:
            OptionError: see :meth:`Ladders.check_places`.
        """
        ladders.check_places(settings.population, len(importances))
        self.origins = (NEAR_ORIGINAL, *importances)
        self._layout = layout
        self._multiple = settings.round_to
        self._objective = objective
        self._ladders = ladders
        self._below = below
        seeds = settings.population if ladders.climbs else settings.population // 2
        self._near_original = partial(
            near_original,
            layout=layout,
            count=settings.population - seeds,
            largest_removal=settings.initial_removal,
        )
        kinds: Sequence[tuple[str, float]] = [(SCOPES[0], floor) for floor in ladders.floors]
        kinds = [*kinds, (SCOPES[1], min(ladders.floors))]
        self._orders = [
            (number, removal_order(importance, layout, scope=scope, floor=floor))
            for scope, floor in kinds
            for number, importance in enumerate(importances.values(), 1)
        ]
        self._lengths = [len(part) for part in np.array_split(np.arange(seeds), len(self._orders))]

    def __call__(self, rng: np.random.Generator, evaluator: Evaluator) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`engine.contracts.Founders`; the individuals of the thesis come first."""
        thesis = np.zeros((0, self._layout.n_filters), bool) if self._ladders.climbs else self._near_original(rng)
        masks = [thesis]
        numbers = [0] * len(thesis)
        for (number, order), length in zip(self._orders, self._lengths, strict=True):
            if self._ladders.climbs:
                removed = self._below_border(order, length, rng, evaluator)
            else:
                ratios = self._ladders.largest * ((np.arange(length) + rng.random(length)) / length) ** 2
                removed = np.array([removal_count(ratio, self._layout) for ratio in ratios])
            masks.append(masks_along(order, np.minimum(removed, len(order)), self._layout, self._multiple))
            numbers += [number] * length
        return np.concatenate(masks), np.array(numbers, np.uint8)

    def _below_border(
        self, order: np.ndarray, length: int, rng: np.random.Generator, evaluator: Evaluator
    ) -> np.ndarray:
        """``int64[length]``: filters that the seeds of an order remove, in descending order."""
        resolution = max(1, round(_RESOLUTION * len(order)))
        ladder = climb(
            order,
            self._layout,
            evaluator,
            self._objective,
            rungs=_RUNGS,
            finer=_FINER,
            resolution=resolution,
            multiple=self._multiple,
        )
        steps = np.maximum(0.0, np.arange(length) - rng.random(length)) / length
        return np.rint(ladder.removed[ladder.best] * (1 - self._below * steps**2)).astype(np.int64)
