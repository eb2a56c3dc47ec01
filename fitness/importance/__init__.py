"""Importance of filters: seeding heuristics of a search and baselines to compare it with."""

from collections.abc import Mapping

from fitness.importance.contract import Importance, Subject
from fitness.importance.random import random_importance

IMPORTANCES: Mapping[str, Importance] = {
    "random": random_importance,
}
"""Name on the command line -> method."""

__all__ = ["IMPORTANCES", "Importance", "Subject"]
