"""How a pool of workers is doing, for people."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import RunError


@dataclass(frozen=True)
class PoolFigures:
    """Workers and tasks at one moment, and what the workers did since the figures before.

    ``utilisation``: seconds in which workers computed answers that were needed, as a share of the seconds
    that ready workers were there; 0 to 1, None if none was.
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
            RunError: it was written by another version, or by hand.
        """
        try:
            figures = cls(**entry)
        except TypeError as error:
            raise RunError(f"the workers' figures in timings.jsonl do not fit this version ({error}).") from error
        counts = (figures.ready, figures.wanted, figures.replaced, figures.in_flight)
        share = figures.utilisation
        if not all(type(count) is int for count in counts) or not (
            share is None or isinstance(share, int | float)
        ):
            raise RunError("the workers' figures in timings.jsonl are no numbers; remove the file.")
        return figures

    def __str__(self) -> str:
        parts = [f"{self.ready}/{self.wanted} workers"]
        if self.utilisation is not None:
            parts.append(f"{self.utilisation:.0%} busy")
        if self.in_flight:
            parts.append(f"{self.in_flight} task{'s' if self.in_flight > 1 else ''} under way")
        if self.replaced:
            parts.append(f"{self.replaced} replaced")
        return ", ".join(parts)
