"""Islands: populations that evolve apart and now and then send copies of their best to the next on a ring.

The island model, or coarse-grained parallel genetic algorithm: Cantú-Paz, "A survey of parallel genetic
algorithms", Calculateurs Parallèles 10, 1998; Whitley, Rana and Heckendorn, "The island model genetic algorithm:
on separability, population size and convergence", Journal of Computing and Information Technology 7, 1999.

Islands advance in lockstep: a generation of each, whose new masks are all evaluated in one call. Work is split
among workers by images, so every worker is as busy with the masks of one island as with those of many, and waits
for the others once for all of them. Masks of all islands share prefixes and the archive: what one island has
evaluated, no other evaluates again. The alternative, a pool of workers for each island, would share neither; and
were islands to advance each at its own pace, who meets whom at a migration would depend on the machines.
"""

from dataclasses import dataclass

import numpy as np
from deap import tools

from engine.contracts import FAILED
from engine.individual import Individual


@dataclass
class Island:
    """A population, and the generator that its initial masks and its offspring are drawn with."""

    population: list[Individual]
    rng: np.random.Generator


def generators(seed: int, islands: int) -> list[np.random.Generator]:
    """One generator for each island, none depending on how many there are.

    Island 0 draws from the seed itself, as a search of one population does: until its first migrants arrive, its
    population is that of this search. The others draw from sequences spawned from the seed.
    """
    root = np.random.SeedSequence(seed)
    return [np.random.Generator(np.random.PCG64(each)) for each in (root, *root.spawn(islands - 1))]


def ring(populations: list[list[Individual]], migrants: int) -> list[list[Individual]]:
    """Who arrives on each island: the best of the island before it, or of the last for the first.

    All leave before any arrives, so a mask moves one island at a time. Copies move: nobody is missed at home.
    What the island holds already does not come again, nor does the next best in its place: islands that agree
    about the best are left to differ in the rest.

    ``deap.tools.migRing`` overwrites those whom migrants replace, better ones too. Here the arrivals compete in
    truncation like offspring, so that an island loses nobody to someone worse and its bar never falls, on which
    stopping early relies (:mod:`engine.truncation`).

    Args:
        populations: of the islands, in their order on the ring.
        migrants: masks that leave each island, at most.
    """
    leaving = [emigrants(population, migrants) for population in populations]
    return [strangers(leaving[island - 1], population) for island, population in enumerate(populations)]


def emigrants(population: list[Individual], count: int) -> list[Individual]:
    """The best ``count`` distinct masks, best first; of equal scores whoever stands first. No failed ones.

    Distinct, because clones of the best soon fill a population's first places.
    """
    chosen: dict[bytes, Individual] = {}
    for individual in tools.selBest(population, len(population)):
        if len(chosen) == count or individual.correct == FAILED:
            break
        chosen.setdefault(individual.mask.tobytes(), individual)
    return list(chosen.values())


def strangers(arrivals: list[Individual], population: list[Individual]) -> list[Individual]:
    """Those of ``arrivals`` whose mask ``population`` does not hold."""
    known = {individual.mask.tobytes() for individual in population}
    return [individual for individual in arrivals if individual.mask.tobytes() not in known]
