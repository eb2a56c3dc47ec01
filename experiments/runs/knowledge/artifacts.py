"""Artifacts: values that a run computes once, before generation 0, and keeps in its directory.

A resumed run, an export and a report read them instead of computing them again. ``run.json`` holds the digest of
each, so that a file of another run is refused.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from safetensors import SafetensorError

from engine.errors import EvaluationError, RunError
from engine.run.directory import RunDirectory
from experiments.runs.options import SearchOptions
from experiments.runs.problem import Problem

Value = TypeVar("Value")

_DAMAGE = (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError)


class Artifact(ABC, Generic[Value]):
    """One kind of artifact.

    Attributes:
        entry: name of the digest in ``run.json``.
        file: name of the file in the run directory.
        purpose: the end of the sentence "FILE is missing, and ...".
    """

    entry: ClassVar[str]
    file: ClassVar[str]
    purpose: ClassVar[str]

    @abstractmethod
    def needed(self, options: SearchOptions) -> bool:
        """Whether a search with these options uses the value."""

    @abstractmethod
    def compute(self, problem: Problem) -> Value:
        """Compute the value; this may take minutes."""

    @abstractmethod
    def encode(self, value: Value) -> bytes:
        """The content of the file."""

    @abstractmethod
    def decode(self, content: bytes, options: SearchOptions) -> Value:
        """Inverse of :meth:`encode`; raises KeyError, TypeError or ValueError for any other content."""

    @abstractmethod
    def digest(self, value: Value) -> str:
        """SHA-256 of the value."""

    @abstractmethod
    def misfit(self, value: Value, problem: Problem) -> str | None:
        """Why the value cannot belong to the problem's network; None if it can.

        The digest lies beside the file, so a person who can exchange one can exchange the other.
        """

    def computed(self, problem: Problem) -> Value:
        """The value for a new search: :meth:`compute`, checked as a resumed run checks what it reads.

        Raises:
            EvaluationError: the value does not fit the network, as where weights or activations are not finite.
        """
        value = self.compute(problem)
        misfit = self.misfit(value, problem)
        if misfit is not None:
            raise EvaluationError(
                f"{self.file}, which a search with these options computes first, cannot be used: {misfit}; check "
                "the weights of the model, or search with other options."
            )
        return value

    def write(self, run: RunDirectory, value: Value) -> None:
        """Keep the value in the run directory."""
        run.store.write(self.file, self.encode(value))

    def read(self, run: RunDirectory, problem: Problem) -> Value:
        """The value that the run began with.

        Raises:
            RunError: the file is missing, damaged, of another run or of another network.
        """
        where = run.store.full_name(self.file)
        try:
            value = self.decode(run.store.read(self.file), problem.options)
        except FileNotFoundError:
            raise RunError(f"{where} is missing, and {self.purpose}; restore it.") from None
        except _DAMAGE as error:
            raise RunError(f"{where} is damaged ({error}); restore it.") from error
        if self.digest(value) != run.description().get(self.entry):
            raise RunError(f"{where} is not the one that the run began with; restore it.")
        misfit = self.misfit(value, problem)
        if misfit is not None:
            raise RunError(f"{where} does not fit the network: {misfit}; restore it.")
        return value
