"""Importance of filters: seeding heuristics of a search and baselines to compare it with."""

from collections.abc import Mapping
from functools import partial

from fitness.importance.contract import Importance, Subject
from fitness.importance.cosine import cosine
from fitness.importance.fpgm import fpgm
from fitness.importance.hrank import hrank
from fitness.importance.karnin import karnin
from fitness.importance.magnitude import magnitude
from fitness.importance.oracle import oracle
from fitness.importance.random import random_importance
from fitness.importance.reconstruction import reconstruction
from fitness.importance.slimming import slimming
from fitness.importance.taylor import taylor, taylor_squared
from fitness.importance.taylor_joint import taylor_joint

IMPORTANCES: Mapping[str, Importance] = {
    "cosine": cosine,
    "fpgm": fpgm,
    "hrank": hrank,
    "karnin": karnin,
    "magnitude": magnitude,
    "magnitude-l1": magnitude,
    "magnitude-l1-raw": partial(magnitude, by_layer=False),
    "magnitude-l2": partial(magnitude, order=2),
    "magnitude-l2-raw": partial(magnitude, order=2, by_layer=False),
    "oracle": oracle,
    "random": random_importance,
    "reconstruction": reconstruction,
    "slimming": slimming,
    "taylor": taylor,
    "taylor-joint": taylor_joint,
    "taylor-squared": taylor_squared,
}
"""Name on the command line -> method. ``magnitude`` is short for ``magnitude-l1``."""

__all__ = ["IMPORTANCES", "Importance", "Subject"]
