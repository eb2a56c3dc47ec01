"""Algorithm 2 of seed 003 as one loop, on DEAP's toolbox, over one population or several islands."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from deap import base, tools

from engine import islands, operators
from engine.archive import Archive
from engine.config import SearchSettings
from engine.contracts import FAILED, STOPPED, Appraisal, Evaluator, Objective
from engine.errors import EvaluationError, OptionError
from engine.evaluation import checked_counts
from engine.individual import Individual, individuals
from engine.islands import Island
from engine.layout import Layout
from engine.state import Best, SearchState
from engine.truncation import target_for


def make_toolbox(settings: SearchSettings, layout: Layout) -> base.Toolbox:
    """The operators of a search, each on whole generations; replace one by registering another.

    Each works on one island, except ``migrate``: from the populations of all to those who arrive on each. With
    another ``survive`` no evaluation is stopped early.
    """
    toolbox = base.Toolbox()
    toolbox.register(
        "initialise",
        operators.near_original,
        layout=layout,
        count=settings.population,
        largest_removal=settings.initial_removal,
    )
    toolbox.register("select", tools.selBest, k=settings.parents)
    toolbox.register("pair", operators.PAIRINGS[settings.pairing])
    toolbox.register("mate", operators.single_point_crossover)
    toolbox.register("mutate", operators.flip_bits, probability=settings.mutation)
    toolbox.register("repair", operators.revive_empty_layers, layout=layout)
    toolbox.register("survive", tools.selBest, k=settings.population_cap)
    toolbox.register("migrate", islands.ring, migrants=settings.migrants)
    return toolbox


class Search:
    """A search over masks: :meth:`start` gives generation 0, :meth:`step` each next one.

    Holds no state of its own, so any state can be continued.

    Raises:
        OptionError: a race with an objective that is not monotone.
    """

    def __init__(self, settings: SearchSettings, layout: Layout, evaluator: Evaluator, objective: Objective):
        if settings.race > 0 and not objective.monotone:
            raise OptionError(
                f"--race {settings.race} needs a score that never falls as more images are right; raise "
                "--epsilon to 1 or more, or leave out --race."
            )
        self.settings = settings
        self.layout = layout
        self.evaluator = evaluator
        self.objective = objective
        self.toolbox = make_toolbox(settings, layout)

    def start(self) -> SearchState:
        """Evaluate the initial population of each island.

        Raises:
            EvaluationError: the unpruned network fails, or gets no image right.
        """
        rngs = islands.generators(self.settings.seed, self.settings.islands)
        archive = Archive(self.layout)
        original = self.layout.full()[None]
        founders = [self.toolbox.initialise(rng) for rng in rngs]
        correct = self._count(archive, np.concatenate([original, *founders]))
        original_correct = int(correct[0])
        if original_correct == FAILED:
            raise EvaluationError(
                "the unpruned network answers NaN or infinity on the images; train or import it anew."
            )
        if original_correct == 0:
            raise EvaluationError(
                "the unpruned network gets none of the images right, so no drop can be measured; "
                "check that --data, its normalisation and its classes are those of the model."
            )
        appraisal = self.objective.appraise(original, correct[:1], original_correct)
        best = _best_of(individuals(original, correct[:1], appraisal.score), appraisal, 0)
        newcomers, appraisal = self._appraised(np.concatenate(founders), correct[1:], original_correct)
        return SearchState(
            generation=0,
            islands=self._settled([Island([], rng) for rng in rngs], newcomers, _homes(founders)),
            best=_better(best, newcomers, appraisal),
            archive=archive,
            original_correct=original_correct,
            evaluations=len(archive),
            failures=archive.failures(),
            stopped=0,
        )

    def step(self, state: SearchState) -> SearchState:
        """One generation: select, cross, mutate, evaluate, truncate, migrate. ``state``'s generators move on."""
        broods = [self._offspring(island) for island in state.islands]
        offspring = np.concatenate(broods)
        correct = self._count(state.archive, offspring, state)
        # A stopped mask has no count to judge, and no full population has a place for it.
        finished = correct != STOPPED
        newcomers, appraisal = self._appraised(offspring[finished], correct[finished], state.original_correct)
        settled = self._settled(state.islands, newcomers, _homes(broods)[finished])
        generation = state.generation + 1
        return replace(
            state,
            generation=generation,
            islands=self._migrated(settled) if generation % self.settings.migrate_every == 0 else settled,
            best=_better(state.best, newcomers, appraisal),
            evaluations=len(state.archive),
            failures=state.archive.failures(),
            stopped=state.archive.stopped(),
        )

    def run(
        self, state: SearchState, generations: int, on_generation: Callable[[SearchState], None]
    ) -> SearchState:
        """Step until ``state.generation`` is ``generations``, reporting each new state."""
        while state.generation < generations:
            state = self.step(state)
            on_generation(state)
        return state

    def _offspring(self, island: Island) -> np.ndarray:
        """``bool[n, f]``, the masks that an island wants evaluated."""
        toolbox, rng = self.toolbox, island.rng
        parents = np.stack([parent.mask for parent in toolbox.select(island.population)])
        offspring = toolbox.mate(rng, parents, toolbox.pair(len(parents)))
        return toolbox.repair(rng, masks=toolbox.mutate(rng, offspring))

    def _settled(self, known: list[Island], newcomers: list[Individual], homes: np.ndarray) -> list[Island]:
        """The islands after truncation; ``homes`` numbers the island of each newcomer."""
        settlers: list[list[Individual]] = [[] for _ in known]
        for newcomer, home in zip(newcomers, homes, strict=True):
            settlers[home].append(newcomer)
        return [
            Island(self.toolbox.survive(island.population + own), island.rng)
            for island, own in zip(known, settlers, strict=True)
        ]

    def _migrated(self, known: list[Island]) -> list[Island]:
        """The islands after migration, and truncation where someone arrived."""
        arrivals = self.toolbox.migrate([island.population for island in known])
        return [
            Island(self.toolbox.survive(island.population + arrived), island.rng) if arrived else island
            for island, arrived in zip(known, arrivals, strict=True)
        ]

    def _count(self, archive: Archive, masks: np.ndarray, state: SearchState | None = None) -> np.ndarray:
        """Counts of ``bool[n, f]``, evaluating only masks that were never seen.

        In full, or, given the ``state`` before them, as far as it takes to know that a mask cannot matter.
        """
        fresh = archive.missing(masks)
        if len(fresh):
            target = None
            if state is not None and self._truncates():
                target = target_for(state, fresh, self.objective, self.settings, self.evaluator.total)
            archive.add(fresh, checked_counts(self.evaluator, fresh, target))
        return archive.look_up(masks)

    def _truncates(self) -> bool:
        """Whether the best ``population_cap`` survive, which is what a target is computed from."""
        survive = self.toolbox.survive
        if getattr(survive, "func", None) is not tools.selBest:
            return False
        return bool(survive.keywords == {"k": self.settings.population_cap})

    def _appraised(
        self, masks: np.ndarray, correct: np.ndarray, original_correct: int
    ) -> tuple[list[Individual], Appraisal]:
        appraisal = self.objective.appraise(masks, correct, original_correct)
        return individuals(masks, correct, appraisal.score), appraisal


def _homes(broods: list[np.ndarray]) -> np.ndarray:
    """``int64[n]``: the number of the island that each row of ``np.concatenate(broods)`` is from."""
    return np.repeat(np.arange(len(broods)), [len(brood) for brood in broods])


def _best_of(candidates: list[Individual], appraisal: Appraisal, row: int) -> Best:
    figures = {name: values[row].item() for name, values in appraisal.figures.items()}
    return Best(candidates[row], figures)


def _better(best: Best, newcomers: list[Individual], appraisal: Appraisal) -> Best:
    """BEST after these newcomers: feasible, and higher in score or, at equal score, in accuracy."""
    for row in np.flatnonzero(appraisal.feasible):
        rival = newcomers[row]
        champion = best.individual
        if (rival.score, rival.correct) > (champion.score, champion.correct):
            best = _best_of(newcomers, appraisal, int(row))
    return best
