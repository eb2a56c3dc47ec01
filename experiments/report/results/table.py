"""Accuracy, parameters and MACs before and after pruning, as in the thesis's Table 4.1: Markdown and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.markdown import markdown_table

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Measured:
    """The figures of merit of one network.

    ``correct`` and ``total`` count images of the split; both are None where no held-out split exists.
    ``parameters`` and ``macs`` (multiply-accumulates for one image) are counts of the whole network.
    Raises ValueError for counts that cannot be.
    """

    correct: int | None
    total: int | None
    parameters: int
    macs: int

    def __post_init__(self) -> None:
        if (self.correct is None) != (self.total is None):
            raise ValueError("correct and total must both be given or both be None")
        if self.correct is not None and self.total is not None and not 0 <= self.correct <= self.total:
            raise ValueError(f"correct must lie between 0 and total, got {self.correct} of {self.total}")
        if self.total == 0:
            raise ValueError("total must be positive; use None where no held-out split exists")
        if self.parameters <= 0 or self.macs <= 0:
            raise ValueError(f"parameters and macs must be positive, got {self.parameters} and {self.macs}")

    @property
    def accuracy(self) -> float | None:
        """Share of correct answers in percent, or None where it was not measured."""
        if self.correct is None or self.total is None:
            return None
        return 100 * self.correct / self.total


def result_data(base: Measured, pruned: Measured, *, split: str) -> dict[str, Any]:
    """Return Table 4.1 as plain values that ``json.dumps`` takes.

    Every quantity has ``base``, ``pruned`` and ``drop_percent``, the drop relative to base,
    100 * (base - pruned) / base, not rounded; it is negative where the pruned network has more. Accuracies
    are percent; what was not measured, or has no relative drop because the base is zero, is None.
    Raises ValueError when the two networks were measured on different numbers of images.
    """
    if base.total is not None and pruned.total is not None and base.total != pruned.total:
        raise ValueError(
            f"base and pruned must be measured on the same images, got {base.total} and {pruned.total}"
        )
    return {
        "split": split,
        "images": base.total if base.total is not None else pruned.total,
        "correct": {
            "base": base.correct,
            "pruned": pruned.correct,
            # The same relative drop as the accuracy's: both are counted on the same images.
            "drop_percent": _relative_drop(base.correct, pruned.correct),
        },
        "accuracy_percent": {
            "base": base.accuracy,
            "pruned": pruned.accuracy,
            "drop_percent": _relative_drop(base.correct, pruned.correct),
        },
        "parameters": {
            "base": base.parameters,
            "pruned": pruned.parameters,
            "drop_percent": _relative_drop(base.parameters, pruned.parameters),
        },
        "macs": {
            "base": base.macs,
            "pruned": pruned.macs,
            "drop_percent": _relative_drop(base.macs, pruned.macs),
        },
    }


def result_table(base: Measured, pruned: Measured, *, split: str) -> str:
    """Return Table 4.1 as Markdown: accuracy (%), parameters and MACs of both networks, and the drop.

    The drop is relative to base in percent with 2 decimals; it is negative where the pruned network has
    more. Raises ValueError when the two networks were measured on different numbers of images.
    """
    data = result_data(base, pruned, split=split)
    rows: list[Sequence[str]] = [("", "base", "pruned", "drop")]
    for label, key, form in (
        (f"{split} accuracy (%)", "accuracy_percent", ".2f"),
        ("parameters", "parameters", ",d"),
        ("MACs", "macs", ",d"),
    ):
        values = data[key]
        shown = [
            NOT_MEASURED if values[side] is None else format(values[side], form) for side in ("base", "pruned")
        ]
        rows.append((label, *shown, _drop_text(values)))
    return markdown_table(rows, align_right=True)


def _relative_drop(base: int | None, pruned: int | None) -> float | None:
    """Return 100 * (base - pruned) / base, or None where it is not defined."""
    if base is None or pruned is None or base == 0:
        return None
    return 100 * (base - pruned) / base


def _drop_text(values: Mapping[str, Any]) -> str:
    """Return the last cell of a row."""
    if values["base"] is None or values["pruned"] is None:
        return NOT_MEASURED
    if values["drop_percent"] is None:
        return "undefined"
    # Adding zero turns a rounded -0.0 into 0.0, which would print as "-0.00".
    return f"{round(values['drop_percent'], 2) + 0.0:.2f}% drop"
