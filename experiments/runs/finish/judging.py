"""Judging masks by the weights that they would leave with. In a finish, each judgement is durable."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import msgspec
import numpy as np

from engine.errors import DataError, RunError
from engine.layout import mask_sha256
from engine.run.directory import JUDGEMENTS, RunDirectory
from experiments.measurement.measuring import measure, predictions
from experiments.runs.finish.images import FinishImages
from experiments.runs.finish.result import ORIGINAL, Check
from experiments.runs.knowledge.compensation import network_of, refitted_network
from experiments.runs.problem import Problem
from fitness.objective.cost import percent_drop
from models.compensation.aims import RefitAims
from models.compensation.method import Compensation
from models.contract import Network
from models.errors import CompensationError
from models.model_directory import Model
from models.pruning import prune


@dataclass(frozen=True)
class Judged:
    """One row of the judgements of a run: the counts of a mask with the weights that would leave.

    Attributes:
        generation: of the search, when the mask was judged.
        purpose: :data:`ORIGINAL`, :data:`LESSON` or :data:`FINISH`.
        sha256: name of the mask.
        key: SHA-256 of what else decides the counts: the identity of the run and the images.
        fitness: fitness images that the network gets right.
        check: check images that the network gets right.
        lost: check images that the original alone gets right.
        gained: check images that this network alone gets right.
        refitted: whether the weights are refitted; else they are those that the search scored.
        failed: why there are no counts; else empty.
    """

    generation: int
    purpose: str
    sha256: str
    key: str
    fitness: int = 0
    check: int = 0
    lost: int = 0
    gained: int = 0
    refitted: bool = False
    failed: str = ""


class Judge:
    """Gives each mask the weights that it would leave with, and counts on fitness and check images."""

    def __init__(
        self,
        problem: Problem,
        compensation: Compensation | None,
        images: FinishImages,
        run: RunDirectory | None = None,
        identity: str = "",
    ):
        """Judge masks of a search, on some images.

        Args:
            problem: of the search.
            compensation: of the search; None for none.
            images: to refit to and to judge by.
            run: keeps the judgements; None keeps none.
            identity: of the run.

        Raises:
            RunError: the judgements of the run are damaged.
        """
        self.images = images
        self._run = run
        self._problem = problem
        self._compensation = compensation
        self._key = hashlib.sha256(f"{identity}{images.key}".encode()).hexdigest()
        self._known = {} if run is None else self._read(run)
        self._original: Judged | None = None
        self._right: np.ndarray | None = None

    def original(self, generation: int) -> Judged:
        """The unpruned network.

        Raises:
            DataError: an image cannot be read, or the network answers NaN or infinity.
        """
        if self._original is None:
            mask = self._problem.genome.layout.full()
            known = self._known.get(mask_sha256(mask))
            found = known or self._record(self.count(self._problem.model, mask, generation, ORIGINAL))
            if found.failed:
                raise DataError(f"the unpruned network cannot be judged for the finish: {found.failed}.")
            self._original = found
        return self._original

    def __call__(
        self,
        mask: np.ndarray,
        generation: int,
        purpose: str,
        before: float,
        keep: Callable[[Model, Judged], None] = lambda model, judged: None,
    ) -> Judged:
        """Judge ``bool[f]`` with the better weights: refitted, or those that the search scored.

        The search chose the mask for the weights that it scored, so a refit can lose accuracy. ``before`` is the
        accuracy drop that the search counted, percent. Where the refit loses more, both weights are judged.
        ``keep`` receives the smaller network before a new judgement becomes durable.

        Raises:
            DataError: an image cannot be read.
        """
        known = self._known.get(mask_sha256(mask))
        if known is not None:
            return known
        refits = self.images.fitted is not None
        judged, smaller = self._tried(mask, generation, purpose, refits)
        if refits and self.drop(judged) > before:
            other = self._tried(mask, generation, purpose, False)
            judged, smaller = min((judged, smaller), other, key=lambda found: self.drop(found[0]))
        if smaller is not None:
            keep(smaller, judged)
        return self._record(judged)

    def _tried(
        self, mask: np.ndarray, generation: int, purpose: str, refitted: bool
    ) -> tuple[Judged, Model | None]:
        """The counts and the smaller network; no network where it has none."""
        try:
            smaller = self.leaving(mask, refitted)
        except CompensationError as error:
            # A candidate whose activations overflow is no reason to lose the others.
            return Judged(generation, purpose, mask_sha256(mask), self._key, failed=str(error)), None
        judged = replace(self.count(smaller, mask, generation, purpose), refitted=refitted)
        return judged, None if judged.failed else smaller

    def leaving(self, mask: np.ndarray, refitted: bool) -> Model:
        """The smaller network of ``bool[f]``: refitted, or with the weights that the search scored.

        Raises:
            CompensationError: activations are infinite or NaN.
        """
        model, keeps = self._problem.model, self._problem.genome.layout.split(mask)
        return Model(prune(self.network(mask, refitted), keeps), model.normalisation, model.classes)

    def network(self, mask: np.ndarray, refitted: bool) -> Network:
        """The network of :meth:`leaving` before it is made smaller."""
        keeps = self._problem.genome.layout.split(mask)
        if refitted:
            return refitted_network(self._aims, keeps, self._compensation)
        return network_of(self._problem.model.network, keeps, self._compensation)

    def drop(self, judged: Judged) -> float:
        """The accuracy drop by which candidates are chosen, percent: the larger of the two; inf if it failed."""
        return float("inf") if judged.failed else max(self.fitness_drop(judged), self.check_drop(judged))

    def fitness_drop(self, judged: Judged) -> float:
        """On the fitness images, percent of what the original gets right."""
        return _drop(self.original(judged.generation).fitness, judged.fitness)

    def check_drop(self, judged: Judged) -> float:
        """On the check images, percent of what the original gets right."""
        return _drop(self.original(judged.generation).check, judged.check)

    def check_of(self, judged: Judged) -> Check:
        """The counts on the check images."""
        original = self.original(judged.generation).check
        return Check(
            len(self.images.check), original, judged.check, judged.lost, judged.gained, self.images.unseen
        )

    def refit_images(self, judged: Judged) -> int | None:
        """Images that the weights were fitted to; None for weights that the search scored."""
        return len(self.images.fitted) if judged.refitted and self.images.fitted is not None else None

    def tells(self, generation: int) -> bool:
        """Whether the unpruned network gets some images right, so that a drop can be told in percent."""
        original = self.original(generation)
        return original.fitness > 0 and original.check > 0

    def count(self, model: Model, mask: np.ndarray, generation: int, purpose: str) -> Judged:
        """The counts of the network of ``bool[f]``; not made durable.

        Raises:
            DataError: an image cannot be read.
        """
        name, key = mask_sha256(mask), self._key
        try:
            fitness = measure(model, self._problem.images).correct
            right = predictions(model, self.images.check) == self.images.check.labels
        except DataError as error:
            # Images in memory can be read: the network answers NaN or infinity.
            return Judged(generation, purpose, name, key, failed=str(error))
        lost = gained = 0
        if purpose == ORIGINAL:
            self._right = right
        else:
            before = self._right_by_original()
            lost, gained = int((before & ~right).sum()), int((right & ~before).sum())
        return Judged(generation, purpose, name, key, fitness, int(right.sum()), lost, gained)

    @cached_property
    def _aims(self) -> RefitAims:
        assert self.images.fitted is not None, "there are no images to refit to"
        model = self._problem.model
        return RefitAims(model.network, model.normalisation, self.images.fitted.images)

    def _right_by_original(self) -> np.ndarray:
        """``bool[n]``: the check images that the unpruned network gets right."""
        if self._right is None:
            self._right = predictions(self._problem.model, self.images.check) == self.images.check.labels
        return self._right

    def _record(self, judged: Judged) -> Judged:
        if self._run is not None:
            self._run.record_judgement(asdict(judged))
        self._known[judged.sha256] = judged
        return judged

    def _read(self, run: RunDirectory) -> dict[str, Judged]:
        try:
            rows = msgspec.convert(run.judgements(), list[Judged])
        except msgspec.ValidationError as error:
            where = run.store.full_name(JUDGEMENTS)
            raise RunError(
                f"{where} is damaged ({error}); remove the file, and candidates are judged anew."
            ) from error
        key, fitness, check = self._key, len(self._problem.images), len(self.images.check)
        return {
            row.sha256: row
            for row in rows
            if row.key == key and 0 <= row.fitness <= fitness and 0 <= row.check <= check
        }


def _drop(original: int, correct: int) -> float:
    return float(percent_drop(original, np.array(correct)))
