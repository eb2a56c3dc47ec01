"""How labels of a data set became places in the classes of a model."""

from dataclasses import dataclass

NAME = "name"
NUMBER = "number"
AUTO = "auto"

ORIGINAL = "original"
"""The value of ``labels``, and the way of matching, for labels that are the unpruned network's own answers."""

LABELS = ("data", ORIGINAL)
"""Values of ``labels``."""

WAYS = (AUTO, NAME, NUMBER)
"""Values of ``match_labels``."""


@dataclass(frozen=True)
class Matching:
    """How labels were matched.

    Attributes:
        way: ``name``, ``number`` or ``original``.
        told: what that means here, for people.
        warnings: sentences on what makes the matching doubtful.
    """

    way: str
    told: str
    warnings: tuple[str, ...] = ()
