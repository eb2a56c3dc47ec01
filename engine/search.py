"""Algorithm 2 of seed 003 as one loop, on DEAP's toolbox."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from deap import base, tools

from engine import operators
from engine.archive import Archive
from engine.config import SearchSettings
from engine.contracts import FAILED, STOPPED, Appraisal, Evaluator, Objective, Target
from engine.errors import EvaluationError, OptionError
from engine.individual import Individual, individuals
from engine.layout import Layout
from engine.state import Best, SearchState
from engine.truncation import target_for


def make_toolbox(settings: SearchSettings, layout: Layout) -> base.Toolbox:
    """The operators of a search, each on whole generations; replace one by registering another.

    With another ``survive`` no evaluation is stopped early.
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
        """Evaluate the initial population.

        Raises:
            EvaluationError: the unpruned network fails, or gets no image right.
        """
        rng = np.random.Generator(np.random.PCG64(self.settings.seed))
        archive = Archive(self.layout)
        original = self.layout.full()[None]
        masks = self.toolbox.initialise(rng)
        correct = self._count(archive, np.concatenate([original, masks]))
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
        population, appraisal = self._appraised(masks, correct[1:], original_correct)
        return SearchState(
            generation=0,
            population=self.toolbox.survive(population),
            best=_better(best, population, appraisal),
            archive=archive,
            rng=rng,
            original_correct=original_correct,
            evaluations=len(archive),
            failures=archive.failures(),
            stopped=0,
        )

    def step(self, state: SearchState) -> SearchState:
        """One generation: select, cross, mutate, evaluate, truncate. ``state``'s generator moves on."""
        toolbox, rng = self.toolbox, state.rng
        parents = np.stack([parent.mask for parent in toolbox.select(state.population)])
        offspring = toolbox.mate(rng, parents, toolbox.pair(len(parents)))
        offspring = toolbox.repair(rng, masks=toolbox.mutate(rng, offspring))
        correct = self._count(state.archive, offspring, state)
        # A stopped mask has no count to judge, and the full population has no place for it.
        finished = correct != STOPPED
        newcomers, appraisal = self._appraised(offspring[finished], correct[finished], state.original_correct)
        return replace(
            state,
            generation=state.generation + 1,
            population=toolbox.survive(state.population + newcomers),
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


def checked_counts(evaluator: Evaluator, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
    """Evaluate, and hold the evaluator to its contract.

    Raises:
        EvaluationError: not one integer in range for each mask, or a mask stopped that had to be finished.
    """
    counts = np.asarray(evaluator.evaluate(masks) if target is None else evaluator.evaluate(masks, target))
    if counts.shape != (len(masks),) or not np.issubdtype(counts.dtype, np.integer):
        raise EvaluationError(
            f"the evaluator must answer int64[{len(masks)}], not {counts.dtype}{list(counts.shape)}."
        )
    stopped = counts == STOPPED
    if stopped.any() and (target is None or (target.needed[stopped] <= 0).any()):
        raise EvaluationError(
            f"the evaluator stopped a mask ({STOPPED}) that it was not allowed to stop; it may do so only where "
            "a target says that the mask needs more images than it can get right."
        )
    if counts.min() < STOPPED or counts.max() > evaluator.total:
        raise EvaluationError(
            f"the evaluator answered counts from {counts.min()} to {counts.max()}; they must lie in 0 to "
            f"{evaluator.total}, or be {FAILED} for a failed mask."
        )
    return counts.astype(np.int64)


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
