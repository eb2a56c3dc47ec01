"""Layers whose filters cannot be removed, and why."""

from typing import NamedTuple

from models.dependency.groups import layer_of
from models.dependency.walk import OUTPUT, Walked


class LeftWhole(NamedTuple):
    """A layer that keeps some or all of its filters, because of a primitive that they reach."""

    layer: str
    reason: str

    def __str__(self) -> str:
        """``left whole: conv3, because of 'sort'``."""
        if self.reason == OUTPUT:
            return f"left whole: {self.layer}, because its channels are the network's output"
        return f"left whole: {self.layer}, because of '{self.reason}'"


def left_whole(walked: Walked) -> tuple[LeftWhole, ...]:
    """Each such layer and reason once, in order of the program."""
    found: dict[LeftWhole, None] = {}
    for maker in walked.context.makers:
        reasons = {walked.context.ties.reason(int(label)) for label in maker.labels}
        found |= {LeftWhole(layer_of(maker.path), reason): None for reason in sorted(filter(None, reasons))}
    return tuple(found)
