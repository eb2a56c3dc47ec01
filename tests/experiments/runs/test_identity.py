"""A run's identity: every option that can change a count or a mask changes the identity; no other option does."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.progress import Silent
from experiments.runs.knowledge.knowledge import Knowledge
from experiments.runs.options import Backend
from experiments.runs.problem import Problem
from fitness.importance import IMPORTANCES
from models.latency.table import LatencyTable
from tests.support.runs import SETTINGS, options_for

SEEDED = {"settings": replace(SETTINGS, population=12), "seed_with": "magnitude"}
DECIDE = {
    "seed": {"settings": replace(SETTINGS, seed=6)},
    "race": {"settings": replace(SETTINGS, race=0.05)},
    "threshold": {"threshold": 19.0},
    "weight": {"weight": 0.4},
    "offset": {"offset": 9.0},
    "prune": {"prune": "all"},
    "batch size": {"batch_size": 5},
    "precision": {"precision": "bfloat16"},
    "objective": {"objective": "macs"},
    "latency": {"objective": "latency"},
    "front": {"objectives": "accuracy,macs"},
    "front's limit": {"objectives": "accuracy,macs", "front_limit": 30.0},
    "compensation": {"compensate": "linear", "compensation_images": 30},
    "mean compensation": {"compensate": "mean", "compensation_images": 30},
    "compensation images": {"compensate": "linear", "compensation_images": 20},
    "seeds": SEEDED,
    "floor": {**SEEDED, "floor": "0,0.2"},
    "mutations": {"settings": replace(SEEDED["settings"], mutate="budget"), "seed_with": "magnitude"},
}
LEAVE = {"patience": {"patience": 3}, "generations": {"generations": 1}}


@pytest.fixture(scope="module")
def identities(tiny_directory, tiny_data):
    """Of each search, by artifacts that are made up: that they enter the identity is what matters."""
    knowledge = "experiments.runs.knowledge"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(IMPORTANCES, "magnitude", lambda subject: np.arange(subject.layout.n_filters, dtype=float))
        patch.setattr(
            f"{knowledge}.latency.measure", lambda network, groups, batch: LatencyTable((), batch, "cpu")
        )
        patch.setattr(
            f"{knowledge}.compensation.gather_moments",
            lambda network, normalisation, images, groups: {"conv1": np.eye(5) * len(images)},
        )
        found = {}
        for name, changes in {"none": {}, **DECIDE, **LEAVE}.items():
            options = options_for(tiny_directory, tiny_data, **{"generations": 0, **changes})
            problem = Problem.load(options.on(Backend()), Silent())
            found[name] = problem.identity(Knowledge.compute(problem).digests())
    return found


def test_what_decides_the_search_decides_the_identity(identities):
    assert len({identities[name] for name in ("none", *DECIDE)}) == 1 + len(DECIDE)


@pytest.mark.parametrize("name", LEAVE)
def test_what_ends_the_search_leaves_the_identity(identities, name):
    assert identities[name] == identities["none"]
