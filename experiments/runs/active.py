"""A search at work in its run directory: its workers, its generations, what it writes after each, its finish."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any

from engine.errors import RunError
from engine.run.directory import RunDirectory
from engine.search.archive import Archive
from engine.search.state import SearchState
from experiments.data.facts import DataFacts
from experiments.environment import hardware, versions
from experiments.progress import Reporter
from experiments.runs.building import make_evaluator, make_search, report_precision
from experiments.runs.finish.finish import Finish
from experiments.runs.finish.result import NAME as RESULT_FILE
from experiments.runs.finish.weights import NAME as WEIGHTS_FILE
from experiments.runs.finish.weights import weights_of
from experiments.runs.held_out import NAME as HELD_OUT_FILE
from experiments.runs.held_out import HeldOut, measure_held_out
from experiments.runs.knowledge.knowledge import ARTIFACT_FILES, Knowledge
from experiments.runs.options import Backend
from experiments.runs.patience import Patience
from experiments.runs.problem import Problem
from experiments.runs.saved import SavedRun, data_facts
from experiments.runs.watching.status import SearchStatus
from fitness.evaluation.evaluator import ShardedEvaluator

FILES = (HELD_OUT_FILE, RESULT_FILE, WEIGHTS_FILE, *ARTIFACT_FILES)
"""Files that a run has besides those of the engine."""


@dataclass(frozen=True)
class SearchResult(SearchStatus):
    """What a search came to.

    Attributes:
        held_out: accuracy of BEST and RESULT on images that the search never saw; None where there are none.
        facts: what was noticed about the images.
    """

    held_out: HeldOut | None = None
    facts: DataFacts = field(default_factory=DataFacts)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        held_out = None if self.held_out is None else self.held_out.to_json()
        return {**super().to_json(), "held_out": held_out, **self.facts.to_json()}


class ActiveRun:
    """The search of a problem in a run directory.

    Call :meth:`begin` or :meth:`restore` first, then :meth:`run_until`, all while the run directory is locked.
    """

    def __init__(
        self,
        run: RunDirectory,
        problem: Problem,
        knowledge: Knowledge,
        backend: Backend,
        evaluator: ShardedEvaluator,
        reporter: Reporter,
    ):
        self._run = run
        self._problem = problem
        self._knowledge = knowledge
        self._backend = backend
        self._evaluator = evaluator
        self._reporter = reporter
        self._identity = problem.identity(knowledge.digests())
        self._finish: Finish | None = None
        if problem.options.finish:
            self._finish = Finish(run, problem, knowledge.compensation, self._identity, reporter)
        self._reach = None if self._finish is None else self._finish.first_reach
        self._search = make_search(problem, knowledge, evaluator, self._reach)
        self._state: SearchState | None = None

    @classmethod
    @contextmanager
    def open(
        cls, run: RunDirectory, problem: Problem, knowledge: Knowledge, backend: Backend, reporter: Reporter
    ) -> Iterator["ActiveRun"]:
        """Start the workers; they end with the block.

        Raises:
            BackendError: Ray is not installed or has no room.
        """
        reporter.message("compiling, then evaluating the first masks")
        with make_evaluator(problem, knowledge, backend, reporter) as evaluator:
            yield cls(run, problem, knowledge, backend, evaluator, reporter)

    def begin(self, checked: Mapping[str, Any]) -> None:
        """Write what the run was asked for, what it knows, and what :meth:`Problem.check` found.

        Raises:
            RunError: the directory holds a run already.
        """
        self._run.check_free(FILES)
        if self._finish is not None:
            self._finish.prepare()
        try:
            # A directory is a run once it has a description, so the description comes last.
            self._knowledge.write(self._run)
            self._run.begin({**self._description(), **checked})
        except BaseException:
            if not self._run.begun():
                self._knowledge.remove(self._run)
            raise

    def restore(self, saved: SavedRun) -> None:
        """Go back to the newest checkpoint, or to the beginning where there is none.

        Raises:
            RunError: the problem or the checkpoints are not those of the run.
        """
        checkpoint = saved.checkpoint
        if self._identity != saved.description.get("identity"):
            raise RunError(
                f"the model or the data are not those that {self._run.location} began with; give them with "
                "`model` and `data_dir`."
            )
        if checkpoint is not None and checkpoint.identity != self._identity:
            raise RunError(
                f"the checkpoints in {self._run.location} belong to another run; restore the right ones."
            )
        configuration = self._problem.options.to_json()
        if configuration != saved.description["configuration"]:
            self._run.write_description({**saved.description, "configuration": configuration})
        self._run.rewind(checkpoint, lambda text: self._reporter.message(f"warning: {text}"))
        if self._finish is not None:
            self._finish.rewind(-1 if checkpoint is None else checkpoint.state.generation)
        if checkpoint is not None:
            self._state = checkpoint.state
            self._go_up_to(checkpoint.state.reach)

    def run_until(self, generations: int, evaluations: int | None) -> SearchResult:
        """Search until a generation is reached; sooner once ``evaluations`` masks are evaluated or patience ends.

        Every generation is durable before the next begins. The last generation is finished. The finish follows
        where the options ask for one, except after a stop at ``evaluations``.
        """
        options, reporter = self._problem.options, self._reporter
        journal = () if self._state is None else self._run.journal()
        patience = Patience(options.patience, journal)
        started = perf_counter()

        def record(state: SearchState) -> None:
            nonlocal started
            timing: dict[str, Any] = {
                "seconds": round(perf_counter() - started, 4),
                "backend": self._backend.name,
            }
            if figures := self._evaluator.workers():
                timing["workers"] = figures.to_json()
            self._run.record(state, self._search.layout, self._identity, timing)
            reporter.generation(state, generations)
            patience.see(state)
            started = perf_counter()

        def ended(state: SearchState) -> bool:
            return state.generation >= generations or patience.exhausted

        def enough(state: SearchState) -> bool:
            return evaluations is not None and state.evaluations >= evaluations

        if self._state is None:
            state = self._first_generation()
            record(state)
        else:
            state = self._state
            reporter.generation(state, generations)
        while not ended(state) and not enough(state):
            state = self._next(state)
            record(state)
        result = leaving = None
        if self._finish is not None and ended(state):
            result = self._finish.conclude(state, self._search.objective)
            leaving = None if result.is_best else weights_of(self._run, self._problem, result)
        best = state.best.individual.mask
        held_out, remark = measure_held_out(self._run, self._problem, best, self._knowledge.compensation, leaving)
        status = SearchStatus.of(
            state,
            generations,
            options.objective,
            out_of_patience=patience.exhausted,
            finishes=options.finish,
            result=result,
            measure=options.data.measure,
        )
        facts = data_facts(self._run.description())
        if held_out is not None:
            facts = facts.adding(warnings=held_out.facts.warnings, remarks=held_out.facts.remarks)
        facts = facts.adding(remarks=[remark])
        return SearchResult(**vars(status), held_out=held_out, facts=facts)

    def _next(self, state: SearchState) -> SearchState:
        """The next generation, scored as far beyond the threshold as the finish has learned."""
        reach = None if self._finish is None else self._finish.reach(state)
        if reach is not None and reach != state.reach:
            self._go_up_to(reach)
            state = self._search.rescored(state, reach)
        return self._search.step(state)

    def _go_up_to(self, reach: float | None) -> None:
        if reach != self._reach:
            self._reach = reach
            self._search = make_search(self._problem, self._knowledge, self._evaluator, reach)

    def _first_generation(self) -> SearchState:
        """Generation 0; a search that was killed during it reuses the counts made so far."""

        def keep(archive: Archive) -> None:
            self._run.record_initial_counts(archive, self._identity)
            self._reporter.first_generation(len(archive))

        counted = self._run.initial_counts(self._search.layout, self._identity, self._reporter.message)
        return replace(self._search.start(counted, keep), reach=self._reach)

    def _description(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        return {
            "configuration": self._problem.options.to_json(),
            "identity": self._identity,
            **self._problem.facts,
            **self._knowledge.digests(),
            **self._knowledge.facts(self._problem),
            "backend": asdict(self._backend),
            "versions": versions(),
            "hardware": hardware(),
            "precision_difference": report_precision(self._evaluator, self._reporter),
        }
