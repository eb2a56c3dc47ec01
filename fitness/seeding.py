"""An initial population that knows something: founders at a ladder of removal ratios for each importance.

Of ``population`` individuals half, rounded down, are seeds; the others are the paper's, near the original
(:func:`engine.operators.near_original`). The seeds are dealt out evenly to orders in which filters leave: of each
method, globally with each of the floors (:func:`fitness.ranking.removal_order`), and by layer. Those of one order
stand on a ladder: of *n* seeds, number *i* removes the first filters to leave up to the share
``largest * ((i + u) / n) ** 2``, u uniform in [0, 1): denser where little is removed. ``u`` is drawn anew for
each seed, by the generator of its island, so that islands get rungs of their own.

With ``--round-to`` a seed's widths are rounded up, along its order: undoing what was to leave last is safe, where
removing filters at random (:mod:`engine.rounding`) would spoil a good order.

Where the founders climb, all individuals are seeds. For each order the largest feasible removal is found first
(:func:`fitness.ladder.climb`, coarsely); of its *n* seeds, number *i* removes the share
``1 - below * ((i - u) / n) ** 2`` of that, number 0 all of it. Generation 0 then begins near the border of what
is feasible; for a front ``below`` is 1, and it begins everywhere up to that border.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.config import SearchSettings
from engine.contracts import Evaluator, Objective
from engine.errors import OptionError
from engine.layout import Layout
from engine.operators import near_original
from fitness.ladder import climb
from fitness.ranking import SCOPES, check_scope, masks_along, removal_count, removal_order

LARGEST_REMOVAL = 0.8
"""Beyond it no network is known to live without retraining."""

LARGEST_COMPENSATED_REMOVAL = 0.98
"""With compensation."""

BELOW = 0.3
"""How far below the border the lowest seeds of a climb stand, as a share of its removal."""

NEAR_ORIGINAL = "near-original"
"""The origin of the paper's individuals."""

_RUNGS, _FINER, _RESOLUTION = 1, 1, 0.02
"""Of a climb: bisection, 8 masks for each order, to within a fiftieth of its filters.

Masks along an order share little, for most layers lose filters at every rung; so fewest masks are fastest.
"""


@dataclass(frozen=True)
class Ladders:
    """How founders stand on the orders of their importances.

    Attributes:
        floors: shares of each layer that stay in seeds; each makes an order of its own.
        climbs: whether the largest feasible removal of each order is found first.
        largest: share of filters that is removed at most where it is not found first.

    Raises:
        OptionError: a floor outside 0 to 1, or one twice.
    """

    floors: tuple[float, ...] = (0.0,)
    climbs: bool = False
    largest: float = LARGEST_REMOVAL

    def __post_init__(self) -> None:
        for floor in self.floors:
            check_scope("global", floor)
            if self.floors.count(floor) > 1:
                raise OptionError(f"--floor names {floor:g} twice; name each share once.")

    def check_places(self, population: int, methods: int) -> None:
        """Make sure that every order gets a seed.

        Raises:
            OptionError: the population is too small.
        """
        orders = (len(self.floors) + 1) * methods
        needed = orders if self.climbs else 2 * orders
        if population < needed:
            seeds = "all" if self.climbs else "half"
            floors = "one globally" if len(self.floors) == 1 else f"{len(self.floors)} globally (--floor)"
            raise OptionError(
                f"--population {population} has too few places for --seed-with: {seeds} of them are seeds, and "
                f"each of {methods} methods needs {floors} and one by layer; raise it to {needed} or name fewer "
                "methods."
            )


PLAIN = Ladders()
"""Ladders of seeds without a floor, beside the paper's individuals."""


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

        ``objective`` says how far a climb may go, ``below`` by which share its lowest seeds stand below that.

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
        """See :class:`engine.contracts.Founders`; the paper's individuals stand first."""
        papers = np.zeros((0, self._layout.n_filters), bool) if self._ladders.climbs else self._near_original(rng)
        masks = [papers]
        numbers = [0] * len(papers)
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
        """``int64[length]``: filters that the seeds of an order remove, the most first."""
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
