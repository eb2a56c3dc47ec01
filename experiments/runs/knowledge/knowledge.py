"""What a search knows of its network before generation 0: the artifacts of a run."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.errors import RunStoreError
from engine.run.directory import RunDirectory
from experiments.data.calibration import calibration_places
from experiments.runs.knowledge.artifacts import Artifact
from experiments.runs.knowledge.compensation import CALIBRATION, MomentsArtifact
from experiments.runs.knowledge.importances import Importances, ImportancesArtifact
from experiments.runs.knowledge.latency import LatencyArtifact
from experiments.runs.problem import Problem
from models.compensation.method import Compensation
from models.latency.table import LatencyTable

_MOMENTS = MomentsArtifact()
_ARTIFACTS: dict[str, Artifact[Any]] = {
    "compensation": _MOMENTS,
    "latency": LatencyArtifact(),
    "importances": ImportancesArtifact(),
}
"""Field of :class:`Knowledge` -> its artifact, in the order in which they are computed."""

ARTIFACT_FILES = tuple(artifact.file for artifact in _ARTIFACTS.values())


@dataclass(frozen=True)
class Knowledge:
    """The artifacts that the options of a search ask for; None for the others.

    The thesis's own search has no artifact.
    """

    compensation: Compensation | None = None
    latency: LatencyTable | None = None
    importances: Importances | None = None

    @classmethod
    def compute(cls, problem: Problem) -> "Knowledge":
        """Compute the artifacts of a new search.

        Raises:
            DataError: there are no training images to compensate with.
            CompensationError, LatencyError, ImportanceError: the network lacks what an artifact needs.
            EvaluationError: an artifact does not fit the network.
        """
        return cls(**{name: artifact.computed(problem) for name, artifact in _needed(problem)})

    @classmethod
    def read(cls, run: RunDirectory, problem: Problem) -> "Knowledge":
        """Read the artifacts of a run.

        Raises:
            RunError: a file is missing, damaged, of another run or of another network.
        """
        return cls(**{name: artifact.read(run, problem) for name, artifact in _needed(problem)})

    def write(self, run: RunDirectory) -> None:
        """Keep the artifacts in the run directory."""
        for artifact, value in self._present():
            artifact.write(run, value)

    def remove(self, run: RunDirectory) -> None:
        """Undo :meth:`write` for a run that did not begin; files that cannot be removed stay."""
        for artifact, _ in self._present():
            with suppress(OSError, RunStoreError):
                run.store.remove(artifact.file)

    def digests(self) -> dict[str, str]:
        """The entries of ``run.json`` by which the artifacts are recognised."""
        found = {artifact.entry: artifact.digest(value) for artifact, value in self._present()}
        if self.compensation is not None and self.compensation.calibration is not None:
            found[CALIBRATION] = self.compensation.calibration.digest()
        return found

    def facts(self, problem: Problem) -> dict[str, Any]:
        """What ``run.json`` says beside the digests: how many calibration images there are."""
        if self.compensation is None or self.compensation.calibration is None:
            return {}
        options = problem.options
        places, shared = calibration_places(options.data, options.calibration_images)
        return {"calibration": {"images": len(places), "fitness_images": shared}}

    def _present(self) -> Iterator[tuple[Artifact[Any], Any]]:
        for name, artifact in _ARTIFACTS.items():
            if getattr(self, name) is not None:
                yield artifact, getattr(self, name)


def _needed(problem: Problem) -> Iterator[tuple[str, Artifact[Any]]]:
    return ((name, artifact) for name, artifact in _ARTIFACTS.items() if artifact.needed(problem.options))


def read_compensation(run: RunDirectory, problem: Problem) -> Compensation | None:
    """The compensation alone, for callers that need only the BEST of a run.

    Raises:
        RunError: see :meth:`Knowledge.read`.
    """
    return _MOMENTS.read(run, problem) if _MOMENTS.needed(problem.options) else None
