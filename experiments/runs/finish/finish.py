"""The finish: learns how far beyond the threshold to search, and chooses the RESULT when the search has ended.

The course of a finish follows from the state of the search and from judgements, each of which is durable before
the next begins. So a finish that was killed goes on where it was, and ends with the same RESULT.
"""

from dataclasses import replace
from functools import cached_property

import numpy as np

from engine.contracts import Objective
from engine.layout import mask_sha256
from engine.run.directory import RunDirectory
from engine.search.state import SearchState
from experiments.progress import Reporter
from experiments.runs.finish.choosing import candidates
from experiments.runs.finish.images import REFIT_IMAGES, FinishImages, changes_weights, finish_images
from experiments.runs.finish.judging import Judge
from experiments.runs.finish.reach import first_reach, learned_reach, lesson_is_due
from experiments.runs.finish.result import FINISH, LESSON, Result, read_result, result_generation
from experiments.runs.finish.result import NAME as RESULT_FILE
from experiments.runs.finish.trials import Held, Trials, with_weights
from experiments.runs.finish.weights import Leaving, read_weights, write_weights
from experiments.runs.problem import Problem
from fitness.objective.front import ACCURACY_DROP
from fitness.objective.rewards import OBJECTIVES
from models.compensation.method import Compensation

NO_IMAGES = (
    "the finish needs training images that the search did not see, and there are none; RESULT is BEST. Search "
    "with fewer `images`."
)
NONE_HOLDS = (
    "none of the {judged} candidates that were judged stays within `threshold` on fitness and check images; "
    "RESULT is BEST, which stays within it on the fitness images alone."
)
NOTHING = "no mask that removes filters was counted in full; RESULT is BEST."
NONE_RIGHT = (
    "the unpruned network gets no fitness image right, or none of the {total:,} check images, so that nothing "
    "can be lost on them; RESULT is BEST."
)


class Finish:
    """The finish of one run. The images are read when they are first needed, or by :meth:`prepare`."""

    def __init__(
        self,
        run: RunDirectory,
        problem: Problem,
        compensation: Compensation | None,
        identity: str,
        reporter: Reporter,
    ):
        """``compensation``: of the search; None for none."""
        self._run = run
        self._problem = problem
        self._compensation = compensation
        self._identity = identity
        self._reporter = reporter
        options = problem.options
        # A front reaches up to its own limit, and without a refit no mask comes back.
        self.reaches = not options.aims and changes_weights(problem)

    def prepare(self) -> None:
        """Read the images now, so that images that cannot be read are refused before a search begins.

        Raises:
            DataError: they cannot be read, or do not fit the model.
        """
        _ = self._images

    def rewind(self, generation: int) -> None:
        """Forget a RESULT of a later generation, whose judgements are cut from the run."""
        if result_generation(self._run) > generation:
            self._run.store.remove(RESULT_FILE)

    @property
    def first_reach(self) -> float | None:
        """The reach of generation 0 in percent; None for a search that stays within the threshold."""
        return first_reach(self._problem.options.threshold) if self.reaches else None

    def reach(self, state: SearchState) -> float | None:
        """The reach of the generation after ``state``; may refit the best mask of the population.

        Raises:
            DataError: an image cannot be read.
        """
        if not self.reaches or not lesson_is_due(state.generation):
            return state.reach
        pupil = max(state.population, key=lambda each: each.score)
        judge, threshold = self._judge, self._problem.options.threshold
        if pupil.correct < 0 or pupil.mask.all() or judge is None or not judge.tells(state.generation):
            return threshold
        before = 100 * (state.original_correct - pupil.correct) / state.original_correct
        judged = judge(pupil.mask, state.generation, LESSON, before)
        after = judge.drop(judged)
        found = learned_reach(threshold, before, after)
        told = "cannot be used" if judged.failed else f"loses {after:.2f}% {with_weights(judged)}"
        self._reporter.message(
            f"the best mask loses {before:.2f}% and, when it is judged, {told}: the search goes on up to an "
            f"accuracy drop of {found:.2f}%."
        )
        return found

    def known(self, state: SearchState) -> Result | None:
        """The RESULT of this state, if its finish is done and its weights are there."""
        found = read_result(self._run, state, self._identity)
        if found is None or found.is_best:
            return found
        kept = read_weights(self._run, self._problem)
        return found if kept is not None and kept[1] == found.weights_sha256 else None

    def conclude(self, state: SearchState, objective: Objective) -> Result:
        """Choose the RESULT of a search that has ended, and make it durable.

        Raises:
            DataError: an image cannot be read.
            OSError, RunStoreError: the store is full or out of reach.
        """
        known = self.known(state)
        if known is not None:
            return known
        result = self._chosen(state, objective)
        result.write(self._run)
        if result.remark:
            self._reporter.message(result.remark)
        return result

    def _chosen(self, state: SearchState, objective: Objective) -> Result:
        options, layout = self._problem.options, self._problem.genome.layout
        judge = self._judge
        if judge is None:
            return self._best(state, 0, NO_IMAGES)
        if not judge.tells(state.generation):
            return self._best(state, 0, NONE_RIGHT.format(total=len(judge.images.check)))
        goal = options.goal if options.aims else OBJECTIVES[options.objective].figure
        found = candidates(state, layout, objective, goal)
        if len(found.masks) == 0:
            return self._best(state, 0, NOTHING)
        trials = Trials(
            judge,
            state.generation,
            options.threshold,
            self._reporter,
            lambda mask, smaller: self._keep(Leaving(mask, smaller)),
        )

        def goals(masks: np.ndarray) -> np.ndarray:
            counts = np.zeros(len(masks), np.int64)
            return objective.appraise(masks, counts, state.original_correct).figures[goal]

        # Masks between two others would break the rule for widths.
        allowed = (lambda masks: np.ones(len(masks), bool)) if options.settings.round_to == 1 else None
        reach = first_reach(options.threshold) if state.reach is None else state.reach
        trials.run(found, reach, state.best.individual.mask, goals, allowed)
        if trials.held is None:
            return self._best(state, trials.judged, NONE_HOLDS.format(judged=trials.judged))
        return self._result(state, objective, judge, trials.held, trials.judged)

    def _keep(self, leaving: Leaving) -> str:
        return write_weights(self._run, self._problem, leaving)

    def _result(self, state: SearchState, objective: Objective, judge: Judge, held: Held, count: int) -> Result:
        mask, judged = held
        kept = read_weights(self._run, self._problem)
        if kept is not None and mask_sha256(kept[0].mask) == judged.sha256:
            weights = kept[1]
        else:
            # The mask was judged for a lesson, which keeps no weights.
            smaller = judge.leaving(mask, judged.refitted)
            judged = replace(judge.count(smaller, mask, state.generation, FINISH), refitted=judged.refitted)
            weights = self._keep(Leaving(mask, smaller))
        counts = np.array([judged.fitness], np.int64)
        figures = objective.appraise(mask[None], counts, state.original_correct).figures
        return Result(
            identity=self._identity,
            generation=state.generation,
            best_sha256=mask_sha256(state.best.individual.mask),
            sha256=judged.sha256,
            accuracy_drop=judge.fitness_drop(judged),
            correct=judged.fitness,
            figures={name: values[0].item() for name, values in figures.items() if name != ACCURACY_DROP},
            removed_filters=int((~mask).sum()),
            filters=len(mask),
            judged=count,
            refit_images=judge.refit_images(judged),
            check=judge.check_of(judged),
            weights_sha256=weights,
        )

    def _best(self, state: SearchState, judged: int, remark: str) -> Result:
        """BEST as the RESULT."""
        mask, figures = state.best.individual.mask, dict(state.best.figures)
        drop, name = figures.pop(ACCURACY_DROP), mask_sha256(mask)
        return Result(
            identity=self._identity,
            generation=state.generation,
            best_sha256=name,
            sha256=name,
            accuracy_drop=drop,
            correct=state.best.individual.correct,
            figures=figures,
            removed_filters=int((~mask).sum()),
            filters=len(mask),
            judged=judged,
            refit_images=None,
            check=None,
            weights_sha256=None,
            remark=remark,
        )

    @cached_property
    def _judge(self) -> Judge | None:
        images = self._images
        if images is None:
            return None
        return Judge(self._problem, self._compensation, images, self._run, self._identity)

    @cached_property
    def _images(self) -> FinishImages | None:
        return finish_images(self._problem, REFIT_IMAGES if changes_weights(self._problem) else None)
