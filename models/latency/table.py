"""The latency table of a network's stages, and the latency of any mask computed from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.interpolate import RegularGridInterpolator


@dataclass(frozen=True)
class StageLatency:
    """A stage at a grid of widths.

    Attributes:
        stage: its name.
        groups: the filter groups whose widths the latency depends on; empty if it is constant.
        widths: of each group, ascending from 1 to all filters.
        milliseconds: ``float64[len(widths of group 1), len(widths of group 2), ...]``, above 0 and not
            decreasing in any width.

    Raises:
        ValueError: widths and milliseconds do not fit each other, or violate these conditions.
    """

    stage: str
    groups: tuple[str, ...]
    widths: tuple[tuple[int, ...], ...]
    milliseconds: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(map(len, self.widths))
        if len(self.groups) != len(self.widths) or self.milliseconds.shape != shape:
            raise ValueError(f"the table of {self.stage} has no time for each of its widths")
        for widths in self.widths:
            if len(widths) < 2 or widths[0] != 1 or not (np.diff(widths) > 0).all():
                raise ValueError(f"the widths of {self.stage} do not ascend from 1")
        if not (np.isfinite(self.milliseconds) & (self.milliseconds > 0)).all():
            raise ValueError(f"{self.stage} has a time that is not above 0")
        if any((np.diff(self.milliseconds, axis=axis) < 0).any() for axis in range(len(shape))):
            raise ValueError(f"a smaller {self.stage} takes longer than a larger one")

    def __call__(self, kept: Mapping[str, np.ndarray], masks: int) -> np.ndarray:
        """Milliseconds ``float64[masks]``, linear in each width between its neighbours in the grid.

        ``kept``: group -> filters that each mask keeps, ``int64[masks]``, 1 or more; an absent one is whole.
        """
        whole = self.milliseconds.max()
        if not self.groups:
            return np.full(masks, whole)
        places = [
            np.broadcast_to(kept.get(group, widths[-1]), masks)
            for group, widths in zip(self.groups, self.widths, strict=True)
        ]
        # Rounding must not make a smaller stage slower than the whole one.
        return np.minimum(self._between(np.stack(places, axis=-1).astype(np.float64)), whole)

    @cached_property
    def _between(self) -> RegularGridInterpolator:
        return RegularGridInterpolator(
            [np.asarray(widths, np.float64) for widths in self.widths], self.milliseconds
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal table."""
        axes = [{"group": group, "widths": list(w)} for group, w in zip(self.groups, self.widths, strict=True)]
        return {"stage": self.stage, "axes": axes, "milliseconds": self.milliseconds.tolist()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "StageLatency":
        """Inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: ``entry`` is something else.
        """
        groups = tuple(str(axis["group"]) for axis in entry["axes"])
        widths = tuple(tuple(map(int, axis["widths"])) for axis in entry["axes"])
        return cls(str(entry["stage"]), groups, widths, np.array(entry["milliseconds"], np.float64))


@dataclass(frozen=True)
class LatencyTable:
    """Latencies of all stages of a network for ``batch`` images at a time on a ``device``."""

    stages: tuple[StageLatency, ...]
    batch: int
    device: str

    def __call__(self, kept: Mapping[str, np.ndarray], masks: int) -> np.ndarray:
        """Milliseconds ``float64[masks]``, summed over the stages; see :class:`StageLatency`."""
        return sum((stage(kept, masks) for stage in self.stages), np.zeros(masks))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal table."""
        return {
            "device": self.device,
            "batch": self.batch,
            "stages": [stage.to_json() for stage in self.stages],
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "LatencyTable":
        """Inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: ``entry`` is something else.
        """
        stages = tuple(map(StageLatency.from_json, entry["stages"]))
        return cls(stages, int(entry["batch"]), str(entry["device"]))

    def digest(self) -> str:
        """SHA-256 of its canonical JSON."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def monotone(milliseconds: np.ndarray) -> np.ndarray:
    """The least table above ``float64[...]`` in which no time falls as a width grows."""
    for axis in range(milliseconds.ndim):
        milliseconds = np.maximum.accumulate(milliseconds, axis=axis)
    return milliseconds


def grid(size: int, points: int) -> tuple[int, ...]:
    """Up to ``points`` widths of a group of ``size`` filters, evenly from 1 to all of them."""
    return tuple(np.unique(np.rint(np.linspace(1, size, points)).astype(int)).tolist())
