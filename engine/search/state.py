"""The state of a search between two generations.

The state decides the rest of the search, bit for bit. It holds no clock, so equal searches have equal states.
:mod:`engine.run.codec` turns a state into bytes.
"""

from dataclasses import dataclass

from engine.search.archive import Archive
from engine.search.best import Best
from engine.search.front import Front
from engine.search.individual import Individual
from engine.search.islands import Island


@dataclass
class SearchState:
    """Islands, archive, BEST and counters after ``generation`` generations.

    Each island has its own population and random generator. All islands share the archive, BEST and the counters.

    Attributes:
        generation: number of the generation, from 0.
        islands: in their order on the ring.
        best: the best feasible individual so far.
        archive: every mask evaluated, with its count.
        original_correct: images that the unpruned network gets right.
        evaluations: distinct masks evaluated.
        failures: masks whose network answered NaN or infinity.
        stopped: masks whose evaluation was stopped early because they could not matter.
        origins: names of the origins of bits (:mod:`engine.search.ancestry`); empty if they are not recorded.
        front: the front of all evaluated masks (:mod:`engine.search.front`); None in a search for BEST alone.
        reach: accuracy drop in percent up to which the objective rewarded the masks of this generation, where
            the search goes beyond the drop that BEST may have; else None.
    """

    generation: int
    islands: list[Island]
    best: Best
    archive: Archive
    original_correct: int
    evaluations: int
    failures: int
    stopped: int
    origins: tuple[str, ...] = ()
    front: Front | None = None
    reach: float | None = None

    @property
    def population(self) -> list[Individual]:
        """The individuals of all islands, island after island."""
        return [individual for island in self.islands for individual in island.population]
