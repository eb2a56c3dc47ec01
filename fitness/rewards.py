"""What a search can be asked to drop most of. Needs no JAX, so that ``status`` starts fast."""

from collections.abc import Mapping
from typing import NamedTuple

from engine.errors import OptionError


class Reward(NamedTuple):
    """What an objective rewards the dropping of: ``figure``, its drop in percent, and ``noun``, for people."""

    figure: str
    noun: str


OBJECTIVES: Mapping[str, Reward] = {
    "parameters": Reward("parameter_drop", "parameters"),
    "macs": Reward("mac_drop", "MACs"),
    "latency": Reward("latency_drop", "latency"),
}
"""By value of ``--objective``."""


def check_objective(name: str) -> None:
    """Refuse an unknown ``--objective``.

    Raises:
        OptionError: it is unknown.
    """
    if name not in OBJECTIVES:
        raise OptionError(f"--objective must be one of {', '.join(OBJECTIVES)}, not {name!r}.")
