"""Islands: populations that evolve apart and now and then send copies of their best masks to the next island.

The island model, or coarse-grained parallel genetic algorithm: Cantú-Paz, "A survey of parallel genetic
algorithms", Calculateurs Parallèles 10, 1998; Whitley, Rana and Heckendorn, "The island model genetic algorithm:
on separability, population size and convergence", Journal of Computing and Information Technology 7, 1999.

Islands advance in lockstep, and one call evaluates the new masks of all islands. Work is split among workers by
images, so all workers share the masks of all islands and wait for one another once a generation. The islands
share the archive and the evaluation of common prefixes. A pool of workers for each island would share neither.
Islands that advance at their own pace would make migrations depend on the machines.
"""

from dataclasses import dataclass

import numpy as np
from deap import tools

from engine.contracts import FAILED
from engine.search.individual import Individual


@dataclass
class Island:
    """A population and its random generator, which draws its initial masks and its offspring."""

    population: list[Individual]
    rng: np.random.Generator


def generators(seed: int, islands: int) -> list[np.random.Generator]:
    """One generator for each island; a generator does not depend on the number of islands.

    Island 0 draws from the seed itself. So until its first migrants arrive, its population is that of a search
    with one island. The other islands draw from sequences spawned from the seed.
    """
    root = np.random.SeedSequence(seed)
    return [np.random.Generator(np.random.PCG64(each)) for each in (root, *root.spawn(islands - 1))]


def ring(populations: list[list[Individual]], migrants: int) -> list[list[Individual]]:
    """The arrivals of each island: copies of the best individuals of the island before it on the ring.

    All migrants leave before any arrives, so a mask moves one island at a time. A mask that the island holds
    already does not arrive, and no other mask takes its place: islands that agree on the best keep their other
    differences.

    ``deap.tools.migRing`` overwrites individuals, even better ones. Here the arrivals compete with the population
    in survivor selection. So an island loses no individual to a worse one, and its lowest score never falls, as
    early stopping requires (:mod:`engine.search.stopping`).

    Args:
        populations: of the islands, in their order on the ring.
        migrants: most masks that leave an island.
    """
    leaving = [emigrants(population, migrants) for population in populations]
    return [strangers(leaving[island - 1], population) for island, population in enumerate(populations)]


def emigrants(population: list[Individual], count: int) -> list[Individual]:
    """The best ``count`` individuals with distinct masks, best first; of equals the first. No failed masks.

    Masks are distinct because clones of the best soon fill the first places of a population.
    """
    chosen: dict[bytes, Individual] = {}
    for individual in tools.selBest(population, len(population)):
        if len(chosen) == count or individual.correct == FAILED:
            break
        chosen.setdefault(individual.mask.tobytes(), individual)
    return list(chosen.values())


def strangers(arrivals: list[Individual], population: list[Individual]) -> list[Individual]:
    """The arrivals whose mask the population does not hold."""
    known = {individual.mask.tobytes() for individual in population}
    return [individual for individual in arrivals if individual.mask.tobytes() not in known]
