"""The search loop: Algorithm 2 of the thesis, over one population or several islands."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.contracts import STOPPED, Appraisal, Evaluator, Founders, Objective, Target
from engine.errors import OptionError
from engine.layout import Layout
from engine.search.ancestry import MUTATION, Brood
from engine.search.archive import Archive
from engine.search.best import best_of, better
from engine.search.evaluation import ArchivedEvaluator, checked_original, counted
from engine.search.front import Front, extended
from engine.search.individual import Individual, individuals
from engine.search.islands import Island, generators
from engine.search.operators.guide import Guide
from engine.search.operators.mutation import BITS, redrawn
from engine.search.returning import best_feasible, returning
from engine.search.settings import SearchSettings
from engine.search.state import SearchState
from engine.search.stopping import target_for, target_within
from engine.search.toolbox import best_survive, front_survives, make_toolbox


class Search:
    """A search over masks: :meth:`start` returns generation 0, :meth:`step` each next generation.

    A search holds no state of its own, so it can continue any state.

    Args:
        settings: of Algorithm 2.
        layout: of the masks.
        evaluator: counts the images that a mask gets right.
        objective: scores masks. With ``front`` its appraisals must have aims.
        founders: build generation 0 in place of the toolbox's ``initialise``. BEST then records its ancestry.
            Only :meth:`start` needs them.
        guide: orders of the filters for guided mutations, the same for the whole search.
        front: search for a front beside BEST, by NSGA-II.

    Raises:
        OptionError: a race with an objective that is not monotone, or a guided mutation without a guide.
    """

    def __init__(
        self,
        settings: SearchSettings,
        layout: Layout,
        evaluator: Evaluator,
        objective: Objective,
        founders: Founders | None = None,
        guide: Guide | None = None,
        *,
        front: bool = False,
    ):
        if settings.race > 0 and not objective.monotone:
            raise OptionError(
                f"`race` {settings.race} needs a score that never falls as more images are right; raise "
                "`offset` to 1 or more, or leave out `race`."
            )
        self.settings = settings
        self.layout = layout
        self.evaluator = evaluator
        self.objective = objective
        self.founders = founders
        self.front = front
        self.toolbox = make_toolbox(settings, layout, guide, front=front)

    def start(
        self, counted_before: Archive | None = None, keep: Callable[[Archive], None] = lambda archive: None
    ) -> SearchState:
        """Build and evaluate the initial population of each island.

        Args:
            counted_before: the archive that an interrupted call gave ``keep`` last; saves evaluating it again.
            keep: receives all counts so far, each time that founders had masks evaluated.

        Raises:
            EvaluationError: the unpruned network fails or gets no image right.
        """
        archive = Archive(self.layout) if counted_before is None else counted_before
        origins = () if self.founders is None else (*self.founders.origins, MUTATION)
        rngs = generators(self.settings.seed, self.settings.islands)
        asking = ArchivedEvaluator(self.evaluator, archive, keep)
        broods = [self._initial(rng, asking, len(origins) - 1) for rng in rngs]
        initial = Brood.together(broods)

        original = self.layout.full()[None]
        correct = counted(self.evaluator, archive, np.concatenate([original, initial.masks]))
        original_correct = checked_original(correct[0])

        unpruned = Brood(original, None if self.founders is None else np.zeros(original.shape, np.uint8))
        best = best_of(*self._appraised(unpruned, correct[:1], original_correct), 0, origins)
        newcomers, appraisal = self._appraised(initial, correct[1:], original_correct)
        best = better(best, newcomers, appraisal, origins)
        # Founders that reach beyond the limit evaluate masks within the limit that they do not return.
        within, counts = best_feasible(archive, initial, self.objective, original_correct, len(origins) - 1)
        best = better(best, *self._appraised(within, counts, original_correct), origins)
        return SearchState(
            generation=0,
            islands=self._survivors([Island([], rng) for rng in rngs], newcomers, _homes(broods)),
            best=best,
            archive=archive,
            original_correct=original_correct,
            evaluations=len(archive),
            failures=archive.failures(),
            stopped=0,
            origins=origins,
            front=self._front(None, archive, 0, original_correct),
        )

    def step(self, state: SearchState) -> SearchState:
        """One generation. Advances the random generators and the archive of ``state``."""
        # Select parents, cross and mutate them, on each island.
        broods = [self._offspring(island, state) for island in state.islands]
        offspring = Brood.together(broods)

        # Evaluate the offspring of all islands in one call.
        known = len(state.archive)
        correct = counted(
            self.evaluator, state.archive, offspring.masks, lambda fresh: self._target(fresh, state)
        )
        # A stopped mask has no count to judge, and no full population has a place for it.
        finished = np.flatnonzero(correct != STOPPED)
        newcomers, appraisal = self._appraised(
            offspring.rows(finished), correct[finished], state.original_correct
        )

        # Select the survivors of each island, and now and then let some migrate.
        generation = state.generation + 1
        settled = self._survivors(state.islands, newcomers, _homes(broods)[finished])
        if generation % self.settings.migrate_every == 0:
            settled = self._migrated(settled)

        return replace(
            state,
            generation=generation,
            islands=settled,
            best=better(state.best, newcomers, appraisal, state.origins),
            evaluations=len(state.archive),
            failures=state.archive.failures(),
            stopped=state.archive.stopped(),
            front=self._front(state.front, state.archive, known, state.original_correct),
        )

    def rescored(self, state: SearchState, reach: float) -> SearchState:
        """``state`` as this search's objective scores it, for a search that goes on with another objective.

        The best masks of the archive return to the population, because those that the old objective kept may be
        worth little now. ``reach``: see :class:`SearchState`. BEST stays as it is: the new objective must score
        feasible masks as the old one did.
        """
        islands = []
        for island in state.islands:
            counts = np.array([each.correct for each in island.population], np.int64)
            members, _ = self._appraised(Brood.of(island.population), counts, state.original_correct)
            islands.append(Island(members, island.rng))
        everyone = Brood.of(state.population)
        most = len(everyone.masks)
        asked = (state.archive, everyone, self.objective, state.original_correct, most, len(state.origins) - 1)
        returned, correct = returning(*asked)
        newcomers, _ = self._appraised(returned, correct, state.original_correct)
        settled = self._survivors(islands, newcomers, np.arange(len(newcomers)) % len(islands))
        return replace(state, islands=settled, reach=reach)

    def _initial(self, rng: np.random.Generator, evaluator: Evaluator, mutation: int) -> Brood:
        """The initial masks of one island. ``mutation`` is the origin of bits that rounding changes."""
        if self.founders is None:
            brood = Brood(self.toolbox.initialise(rng))
        else:
            brood = Brood.founded(*self.founders(rng, evaluator))
        return brood.changed(self.toolbox.round(rng, masks=brood.masks), mutation)

    def _offspring(self, island: Island, state: SearchState) -> Brood:
        """The offspring of one island's parents."""
        toolbox, rng = self.toolbox, island.rng
        parents = Brood.of(toolbox.select(rng, island.population))
        pairs = toolbox.pair(len(parents.masks))
        crossed = parents.crossed(lambda rows: toolbox.mate(rng, rows, pairs))

        def mutated(rows: np.ndarray) -> np.ndarray:
            repaired = toolbox.repair(rng, masks=toolbox.mutate(rng, crossed.masks[rows]))
            return np.asarray(toolbox.round(rng, masks=repaired))

        masks = mutated(np.arange(len(crossed.masks)))
        if self.settings.mutations != (BITS,):
            masks = redrawn(masks, mutated, lambda drawn: self._pointless(drawn, island, state))
        # The last origin stands for bits that mutation changed.
        return crossed.changed(masks, len(state.origins) - 1)

    def _pointless(self, masks: np.ndarray, island: Island, state: SearchState) -> np.ndarray:
        """``bool[n]``: masks evaluated before, or too poor for the island even with every image right."""
        known = state.archive.known(masks)
        cap = self.settings.population_cap
        bounded = self.objective.monotone and best_survive(self.toolbox, cap)
        if not bounded or len(island.population) < cap:
            return known
        every = np.full(len(masks), self.evaluator.total)
        highest = self.objective.appraise(masks, every, state.original_correct).score
        return known | (highest <= min(individual.score for individual in island.population))

    def _target(self, fresh: np.ndarray, state: SearchState) -> Target | None:
        """The counts with which new masks ``bool[n, f]`` matter; None evaluates them in full."""
        asked = (state, fresh, self.objective, self.settings, self.evaluator.total)
        if best_survive(self.toolbox, self.settings.population_cap):
            return target_for(*asked)
        if front_survives(self.toolbox, self.settings.population_cap):
            return target_within(*asked)
        return None

    def _appraised(
        self, brood: Brood, correct: np.ndarray, original_correct: int
    ) -> tuple[list[Individual], Appraisal]:
        appraisal = self.objective.appraise(brood.masks, correct, original_correct)
        return individuals(brood.masks, correct, appraisal.score, brood.origins, appraisal.aims), appraisal

    def _survivors(self, known: list[Island], newcomers: list[Individual], homes: np.ndarray) -> list[Island]:
        """The islands after survivor selection. ``homes``: ``int64[n]``, the island of each newcomer."""
        own: list[list[Individual]] = [[] for _ in known]
        for newcomer, home in zip(newcomers, homes, strict=True):
            own[home].append(newcomer)
        return [
            Island([each.detached() for each in self.toolbox.survive(island.population + new)], island.rng)
            for island, new in zip(known, own, strict=True)
        ]

    def _migrated(self, known: list[Island]) -> list[Island]:
        """The islands after migration, and survivor selection where a mask arrived."""
        arrivals = self.toolbox.migrate([island.population for island in known])
        return [
            Island(self.toolbox.survive(island.population + arrived), island.rng) if arrived else island
            for island, arrived in zip(known, arrivals, strict=True)
        ]

    def _front(self, before: Front | None, archive: Archive, first: int, original_correct: int) -> Front | None:
        """The front with the archive's rows from ``first`` on; None in a search for BEST alone."""
        if not self.front:
            return None
        return extended(before, archive, first, self.layout, self.objective, original_correct)


def _homes(broods: list[Brood]) -> np.ndarray:
    """``int64[n]``: the island of each row of the broods together."""
    return np.repeat(np.arange(len(broods)), [len(brood.masks) for brood in broods])
