"""The costs whose drop a search can reward. Imports no JAX, so that ``status`` starts fast."""

from collections.abc import Mapping
from typing import NamedTuple

from engine.errors import OptionError


class Reward(NamedTuple):
    """A cost.

    Attributes:
        figure: names its drop in percent, as appraisals have it.
        noun: names it in a text.
        on_fronts: the cost that stands for it on fronts: itself, if it follows from a mask alone.
    """

    figure: str
    noun: str
    on_fronts: str


OBJECTIVES: Mapping[str, Reward] = {
    "parameters": Reward("parameter_drop", "parameters", "parameters"),
    "macs": Reward("mac_drop", "MACs", "macs"),
    "latency": Reward("latency_drop", "latency", "macs"),
}
"""Value of ``objective`` -> the cost whose drop it rewards."""


def check_objective(name: str) -> None:
    """Refuse an unknown ``objective``.

    Raises:
        OptionError: it is unknown.
    """
    if name not in OBJECTIVES:
        raise OptionError(f"`objective` must be one of {', '.join(OBJECTIVES)}, not {name!r}.")
