"""How a pool of workers is doing, for people."""

from dataclasses import asdict, dataclass
from typing import Any


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

    def __str__(self) -> str:
        parts = [f"{self.ready}/{self.wanted} workers"]
        if self.utilisation is not None:
            parts.append(f"{self.utilisation:.0%} busy")
        if self.in_flight:
            parts.append(f"{self.in_flight} tasks under way")
        if self.replaced:
            parts.append(f"{self.replaced} replaced")
        return ", ".join(parts)
