"""The RESULT of a search, as ``result.json`` holds it. Imports no JAX, so that ``status`` starts fast."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from engine.layout import mask_sha256
from engine.run.directory import RunDirectory
from engine.search.state import SearchState

NAME = "result.json"

ORIGINAL, LESSON, FINISH = "original", "lesson", "finish"
"""Why a mask was judged: as what others are held against, to learn how far to search, as a candidate."""

_Z = 1.96
"""Standard deviations on both sides that hold 95% of a normal distribution."""


@dataclass(frozen=True)
class Check:
    """Counts on the check images (:mod:`experiments.runs.finish.images`).

    Attributes:
        total: number of images.
        original_correct: images that the unpruned network gets right.
        correct: images that the RESULT gets right.
        lost: images that the unpruned network alone gets right.
        gained: images that the RESULT alone gets right.
        unseen: whether the search did not see the images.
    """

    total: int
    original_correct: int
    correct: int
    lost: int
    gained: int
    unseen: bool

    @property
    def accuracy_drop(self) -> float:
        """Percent of what the unpruned network gets right."""
        return 100 * (self.original_correct - self.correct) / self.original_correct

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy drop on images of this kind lies, with 95% confidence, in percent.

        For the difference of two paired shares: Bonett and Price, "Adjusted Wald confidence interval for a
        difference of binomial proportions based on paired data", Journal of Educational and Behavioral Statistics
        37, 2012. The accuracy of the unpruned network counts as known.
        """
        lost, gained = ((count + 1) / (self.total + 2) for count in (self.lost, self.gained))
        half = _Z * ((lost + gained - (lost - gained) ** 2) / (self.total + 2)) ** 0.5
        scale = 100 * self.total / self.original_correct
        return scale * (lost - gained - half), scale * (lost - gained + half)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "accuracy_drop": self.accuracy_drop, "interval": list(self.interval)}


@dataclass(frozen=True)
class Result:
    """The mask that a search comes to.

    Attributes:
        identity: of the run.
        generation: of the search, after which the finish began.
        best_sha256: name of BEST's mask in that generation.
        sha256: name of the RESULT's mask.
        accuracy_drop: percent, on the fitness images.
        correct: fitness images that the network gets right.
        figures: what the mask drops and leaves.
        removed_filters: of the ``filters``.
        filters: that the search could remove.
        judged: candidates that were judged.
        refit_images: training images that the weights were fitted to; None where the weights are the search's.
        check: None where the RESULT is BEST and was not judged.
        weights_sha256: of the weights in the run; None where the RESULT is BEST.
        remark: why the RESULT is BEST; else empty.
    """

    identity: str
    generation: int
    best_sha256: str
    sha256: str
    accuracy_drop: float
    correct: int
    figures: dict[str, float | int]
    removed_filters: int
    filters: int
    judged: int
    refit_images: int | None
    check: Check | None
    weights_sha256: str | None
    remark: str = ""

    @property
    def is_best(self) -> bool:
        """Whether it is BEST with the weights that the search scored."""
        return self.weights_sha256 is None

    def to_json(self) -> dict[str, Any]:
        """A JSON object for people; the files of the run are named elsewhere."""
        entry = asdict(self)
        for name in ("identity", "figures", "generation", "best_sha256", "weights_sha256", "check"):
            del entry[name]
        check = None if self.check is None else self.check.to_json()
        return {**entry, **self.figures, "is_best": self.is_best, "check": check}

    def write(self, run: RunDirectory) -> None:
        """Make the RESULT durable."""
        run.keep(NAME, (json.dumps(asdict(self), indent=2, allow_nan=False) + "\n").encode())


def read_result(run: RunDirectory, state: SearchState, identity: str) -> Result | None:
    """The RESULT of a run in this state; None where the finish is not done, or its file is damaged."""
    found = _read(run)
    if found is None:
        return None
    belongs = (identity, state.generation, mask_sha256(state.best.individual.mask))
    if (found.identity, found.generation, found.best_sha256) != belongs:
        return None
    check = found.check
    if check is not None and not (
        0 < check.original_correct <= check.total and 0 <= check.correct <= check.total
    ):
        return None
    return found


def result_generation(run: RunDirectory) -> int:
    """The generation of the RESULT in a run; -1 where there is none, or its file is damaged."""
    found = _read(run)
    return -1 if found is None else found.generation


def _read(run: RunDirectory) -> Result | None:
    try:
        return msgspec.json.decode(run.store.read(NAME), type=Result)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
