"""Algorithm 2 of seed 003 as one loop, on DEAP's toolbox, over one population or several islands."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from deap import base, tools

from engine import islands, nsga2, operators
from engine.ancestry import MUTATION, Brood
from engine.archive import Archive
from engine.best import best_of, better
from engine.config import SearchSettings
from engine.contracts import STOPPED, Appraisal, Evaluator, Founders, Objective, Target
from engine.errors import OptionError
from engine.evaluation import checked_counts, checked_original
from engine.front import Front, extended
from engine.guide import Guide
from engine.individual import Individual, individuals
from engine.islands import Island
from engine.layout import Layout
from engine.rounding import round_widths
from engine.screening import redrawn
from engine.state import SearchState
from engine.truncation import target_for, target_within
from engine.variation.registry import BITS, crossover, mutation


def make_toolbox(
    settings: SearchSettings, layout: Layout, guide: Guide | None = None, *, front: bool = False
) -> base.Toolbox:
    """The operators of a search, each on whole generations; replace one by registering another.

    Each works on one island, except ``migrate``: from the populations of all to those who arrive on each. With
    a ``survive`` of your own no evaluation is stopped early. ``mate`` moves columns from row to row, whatever
    they hold (:mod:`engine.ancestry`). With ``front``, those of :mod:`engine.nsga2` select, truncate and migrate.
    """
    toolbox = base.Toolbox()
    toolbox.register(
        "initialise",
        operators.near_original,
        layout=layout,
        count=settings.population,
        largest_removal=settings.initial_removal,
    )
    toolbox.register("select", nsga2.select if front else operators.fittest, k=settings.parents)
    toolbox.register("pair", operators.PAIRINGS[settings.pairing])
    toolbox.register("mate", crossover(settings.crossover, layout))
    toolbox.register("mutate", mutation(settings.mutate, settings.mutation, layout, guide))
    toolbox.register("repair", operators.revive_empty_layers, layout=layout)
    toolbox.register("round", round_widths, layout=layout, multiple=settings.round_to)
    toolbox.register("survive", nsga2.survive if front else tools.selBest, k=settings.population_cap)
    toolbox.register("migrate", nsga2.ring if front else islands.ring, migrants=settings.migrants)
    return toolbox


class Search:
    """A search over masks: :meth:`start` gives generation 0, :meth:`step` each next one.

    Holds no state of its own, so any state can be continued. ``founders`` make generation 0 in place of the
    toolbox's ``initialise``; BEST then tells what it descends from. A state that is continued needs them no more.
    ``front`` searches for a front beside BEST, by NSGA-II; the objective's appraisals then have aims.
    ``guide`` is what guided mutations go by, the same for the whole search.

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
                f"--race {settings.race} needs a score that never falls as more images are right; raise "
                "--epsilon to 1 or more, or leave out --race."
            )
        self.settings = settings
        self.layout = layout
        self.evaluator = evaluator
        self.objective = objective
        self.founders = founders
        self.front = front
        self.toolbox = make_toolbox(settings, layout, guide, front=front)

    def start(
        self, counted: Archive | None = None, keep: Callable[[Archive], None] = lambda archive: None
    ) -> SearchState:
        """Evaluate the initial population of each island.

        Args:
            counted: what an earlier call that was stopped gave ``keep`` last; that is not evaluated again.
            keep: is given all that was counted so far, after each call of the evaluator.

        Raises:
            EvaluationError: the unpruned network fails, or gets no image right.
        """
        rngs = islands.generators(self.settings.seed, self.settings.islands)
        archive = Archive(self.layout) if counted is None else counted
        original = self.layout.full()[None]
        origins = () if self.founders is None else (*self.founders.origins, MUTATION)
        remembering = _Remembering(self, archive, keep)
        broods = [self._founders(rng, remembering, len(origins) - 1) for rng in rngs]
        founders = Brood.together(broods)
        correct = self._count(archive, np.concatenate([original, founders.masks]))
        original_correct = checked_original(correct[0])
        appraisal = self.objective.appraise(original, correct[:1], original_correct)
        unpruned = None if self.founders is None else np.zeros(original.shape, np.uint8)
        best = best_of(individuals(original, correct[:1], appraisal.score, unpruned), appraisal, 0, origins)
        newcomers, appraisal = self._appraised(founders, correct[1:], original_correct)
        return SearchState(
            generation=0,
            islands=self._settled([Island([], rng) for rng in rngs], newcomers, _homes(broods)),
            best=better(best, newcomers, appraisal, origins),
            archive=archive,
            original_correct=original_correct,
            evaluations=len(archive),
            failures=archive.failures(),
            stopped=0,
            origins=origins,
            front=self._front(None, archive, 0, original_correct),
        )

    def step(self, state: SearchState) -> SearchState:
        """One generation: select, cross, mutate, evaluate, truncate, migrate. ``state``'s generators move on."""
        known = len(state.archive)
        broods = [self._offspring(island, state) for island in state.islands]
        offspring = Brood.together(broods)
        correct = self._count(state.archive, offspring.masks, state)
        # A stopped mask has no count to judge, and no full population has a place for it.
        finished = np.flatnonzero(correct != STOPPED)
        brood = offspring.rows(finished)
        newcomers, appraisal = self._appraised(brood, correct[finished], state.original_correct)
        settled = self._settled(state.islands, newcomers, _homes(broods)[finished])
        generation = state.generation + 1
        return replace(
            state,
            generation=generation,
            islands=self._migrated(settled) if generation % self.settings.migrate_every == 0 else settled,
            best=better(state.best, newcomers, appraisal, state.origins),
            evaluations=len(state.archive),
            failures=state.archive.failures(),
            stopped=state.archive.stopped(),
            front=self._front(state.front, state.archive, known, state.original_correct),
        )

    def run(
        self,
        state: SearchState,
        generations: int,
        on_generation: Callable[[SearchState], None],
        enough: Callable[[SearchState], bool] = lambda state: False,
    ) -> SearchState:
        """Step until ``state.generation`` is ``generations`` or ``enough`` says so, reporting each new state."""
        while state.generation < generations and not enough(state):
            state = self.step(state)
            on_generation(state)
        return state

    def _founders(self, rng: np.random.Generator, evaluator: Evaluator, mutation: int) -> Brood:
        """The initial masks of an island; ``mutation`` numbers the origin of bits that were rounded."""
        if self.founders is None:
            founders = Brood(self.toolbox.initialise(rng))
        else:
            founders = Brood.founded(*self.founders(rng, evaluator))
        return founders.changed(self.toolbox.round(rng, masks=founders.masks), mutation)

    def _offspring(self, island: Island, state: SearchState) -> Brood:
        """The masks that an island wants evaluated."""
        toolbox, rng = self.toolbox, island.rng
        parents = Brood.of(toolbox.select(rng, island.population))
        pairs = toolbox.pair(len(parents.masks))
        crossed = parents.crossed(lambda rows: toolbox.mate(rng, rows, pairs))

        def changed(rows: np.ndarray) -> np.ndarray:
            repaired = toolbox.repair(rng, masks=toolbox.mutate(rng, crossed.masks[rows]))
            return np.asarray(toolbox.round(rng, masks=repaired))

        masks = changed(np.arange(len(crossed.masks)))
        if self.settings.mutate != BITS:
            masks = redrawn(masks, changed, lambda drawn: self._pointless(drawn, island, state))
        # The number of the origin of bits that changed is the last.
        return crossed.changed(masks, len(state.origins) - 1)

    def _pointless(self, masks: np.ndarray, island: Island, state: SearchState) -> np.ndarray:
        """``bool[n]``: masks that are known, or that the island would not take with every image right."""
        known = state.archive.known(masks)
        full = len(island.population) >= self.settings.population_cap
        if not (full and self._truncates() and self.objective.monotone):
            return known
        every = np.full(len(masks), self.evaluator.total)
        highest = self.objective.appraise(masks, every, state.original_correct).score
        return known | (highest <= min(individual.score for individual in island.population))

    def _settled(self, known: list[Island], newcomers: list[Individual], homes: np.ndarray) -> list[Island]:
        """The islands after truncation; ``homes`` numbers the island of each newcomer."""
        settlers: list[list[Individual]] = [[] for _ in known]
        for newcomer, home in zip(newcomers, homes, strict=True):
            settlers[home].append(newcomer)
        return [
            Island([each.detached() for each in self.toolbox.survive(island.population + own)], island.rng)
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
            target, known = None, (self.objective, self.settings, self.evaluator.total)
            if state is not None and self._truncates():
                target = target_for(state, fresh, *known)
            elif state is not None and self._survive_by(nsga2.survive):
                target = target_within(state, fresh, *known)
            archive.add(fresh, checked_counts(self.evaluator, fresh, target))
        return archive.look_up(masks)

    def _truncates(self) -> bool:
        """Whether the ``population_cap`` of the highest scores survive."""
        return self._survive_by(tools.selBest)

    def _survive_by(self, operator: Callable[..., list[Individual]]) -> bool:
        """Whether that operator picks ``population_cap`` survivors; targets are computed from who they are."""
        survive = self.toolbox.survive
        if getattr(survive, "func", None) is not operator:
            return False
        return bool(survive.keywords == {"k": self.settings.population_cap})

    def _appraised(
        self, brood: Brood, correct: np.ndarray, original_correct: int
    ) -> tuple[list[Individual], Appraisal]:
        appraisal = self.objective.appraise(brood.masks, correct, original_correct)
        return individuals(brood.masks, correct, appraisal.score, brood.origins, appraisal.aims), appraisal

    def _front(self, before: Front | None, archive: Archive, first: int, original_correct: int) -> Front | None:
        """The front with the archive's rows from ``first`` on; None where none is searched for."""
        if not self.front:
            return None
        return extended(before, archive, first, self.layout, self.objective, original_correct)


def _homes(broods: list[Brood]) -> np.ndarray:
    """``int64[n]``: the number of the island that each row of the broods together is from."""
    return np.repeat(np.arange(len(broods)), [len(brood.masks) for brood in broods])


class _Remembering:
    """An evaluator for founders, who want to know something beforehand: what it counts is in the archive."""

    def __init__(self, search: Search, archive: Archive, keep: Callable[[Archive], None]):
        self.total = search.evaluator.total
        self._count = search._count
        self._archive = archive
        self._keep = keep

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        before = len(self._archive)
        correct = self._count(self._archive, masks)
        if len(self._archive) > before:
            self._keep(self._archive)
        return correct
