"""NSGA-II: selection of parents, survivors and migrants in a search for a front.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6, 2002; section VI for constraints. DEAP computes ranks, crowding
distances and survivors, with its faster sorting (Fortin, Grenier and Parizeau, "Generalizing the improved
run-time complexity algorithm for non-dominated sorting", GECCO 2013): 600 individuals take 40 ms, against 370 ms
with the sorting of Deb et al.

Two things differ. A population holds each mask once, because copies of a few masks would fill its front. And the
tournament draws from the island's generator, because DEAP's draws from Python's global generator.
"""

from collections.abc import Sequence

import numpy as np
from deap import base, tools

from engine.search.individual import Individual
from engine.search.islands import strangers


class _Values(base.Fitness):
    """Any number of values, all to be maximised."""

    def __init__(self, values: Sequence[float]):
        self.weights = (1.0,) * len(values)
        super().__init__(values)


class _Contestant:
    """An individual as DEAP's tools expect it; they store the crowding distance in its fitness."""

    def __init__(self, individual: Individual, place: int):
        if individual.values is None:
            raise ValueError("an individual without values cannot be ranked")
        self.individual = individual
        self.place = place
        self.fitness = _Values(individual.values.tolist())


def survive(population: list[Individual], k: int) -> list[Individual]:
    """The best ``k`` distinct masks by rank and, in the last rank that fits in part, by crowding distance.

    Constrained dominance: masks within the limit come before all others, which are ordered by their excess. Of
    equal individuals the first survives.
    """
    distinct = list({individual.mask.tobytes(): individual for individual in reversed(population)}.values())[::-1]
    within = [_Contestant(each, place) for place, each in enumerate(distinct) if each.excess == 0]
    chosen = tools.selNSGA2(within, k, nd="log") if within else []
    beyond = sorted((each for each in distinct if each.excess > 0), key=lambda each: each.excess)
    return [contestant.individual for contestant in chosen] + beyond[: k - len(chosen)]


def select(rng: np.random.Generator, population: list[Individual], k: int) -> list[Individual]:
    """The winners of ``k`` binary tournaments by rank and, within a rank, by greater crowding distance.

    As in DEAP's ``selTournamentDCD``, opponents are neighbours in a random order of the population; once all have
    competed, another order is drawn. So no individual meets itself, and ``k`` parents of a large population
    differ.
    """
    n = len(population)
    if n == 1:
        return population * k
    standings = standing(population)
    fights = n // 2
    orders = [rng.permutation(n)[: 2 * fights].reshape(fights, 2) for _ in range(-(-k // fights))]
    # The order of two equals is random already.
    return [population[min(pair, key=standings.__getitem__)] for pair in np.concatenate(orders)[:k].tolist()]


def standing(population: list[Individual]) -> list[tuple[int, float]]:
    """(rank from 0, minus the crowding distance) of each individual; less is better.

    Individuals beyond the limit have the ranks after those within: one rank for each excess.
    """
    found = [(0, 0.0)] * len(population)
    within = [_Contestant(each, place) for place, each in enumerate(population) if each.excess == 0]
    fronts = tools.sortLogNondominated(within, len(within)) if within else []
    for rank, front in enumerate(fronts):
        tools.emo.assignCrowdingDist(front)
        for contestant in front:
            found[contestant.place] = (rank, -contestant.fitness.crowding_dist)
    levels = sorted({individual.excess for individual in population} - {0.0})
    for place, individual in enumerate(population):
        if individual.excess > 0:
            found[place] = (len(fronts) + levels.index(individual.excess), 0.0)
    return found


def ring(populations: list[list[Individual]], migrants: int) -> list[list[Individual]]:
    """The arrivals of each island: the least crowded masks on the front of the island before it on the ring.

    Only masks that the island does not hold are considered, because the ends of a front are always the least
    crowded and would be the only migrants. Otherwise as :func:`engine.search.islands.ring`.
    """
    leaving = [_apart(population) for population in populations]
    return [
        strangers(leaving[island - 1], population)[:migrants] for island, population in enumerate(populations)
    ]


def _apart(population: list[Individual]) -> list[Individual]:
    """The non-dominated individuals within the limit, by falling crowding distance."""
    standings = standing(population)
    first = [place for place, (rank, _) in enumerate(standings) if rank == 0 and population[place].excess == 0]
    return [population[place] for place in sorted(first, key=standings.__getitem__)]
