"""Figures of a pool of workers, for people."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import OptionError, RunError
from engine.options import read_options


@dataclass(frozen=True)
class PoolFigures:
    """Workers and tasks now, and the workers' utilisation since the figures before.

    Attributes:
        ready: workers that could take a task or are at one.
        wanted: workers that the pool keeps.
        replaced: workers lost or dismissed after they were ready.
        in_flight: tasks under way.
        utilisation: time spent on answers that were needed, as a share of the time of ready workers, 0 to 1;
            None if no worker was ready.
    """

    ready: int
    wanted: int
    replaced: int
    in_flight: int
    utilisation: float | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        entry = asdict(self)
        if self.utilisation is not None:
            entry["utilisation"] = round(self.utilisation, 4)
        return entry

    @classmethod
    def from_json(cls, entry: Any) -> "PoolFigures":
        """Inverse of :meth:`to_json`.

        Raises:
            RunError: the entry does not hold these figures.
        """
        try:
            return read_options(cls, entry)
        except OptionError as error:
            raise RunError(f"timings.jsonl is damaged: {error} Remove the file.") from error

    def __str__(self) -> str:
        parts = [f"{self.ready}/{self.wanted} workers"]
        if self.utilisation is not None:
            parts.append(f"{self.utilisation:.0%} busy")
        if self.in_flight:
            parts.append(f"{self.in_flight} task{'s' if self.in_flight > 1 else ''} under way")
        if self.replaced:
            parts.append(f"{self.replaced} replaced")
        return ", ".join(parts)
