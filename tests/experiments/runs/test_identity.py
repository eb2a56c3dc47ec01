"""A run's identity: every option that can change a count or a mask changes the identity; no other option does."""

from dataclasses import fields, replace

import numpy as np
import pytest

from engine.search.settings import SearchSettings
from experiments.progress import Silent
from experiments.runs.knowledge.compensation import MomentsArtifact
from experiments.runs.knowledge.knowledge import Knowledge
from experiments.runs.options import Backend, SearchOptions
from experiments.runs.problem import Problem
from fitness.importance import IMPORTANCES
from models.latency.table import LatencyTable
from tests.support.runs import SETTINGS, options_for

SEEDED = {"population": 12, "seed_with": "magnitude"}
COMPENSATED = {"compensate": "linear", "compensation_images": 30}
RECALIBRATED = {"model": "normed", "force": True, "compensate": "recalibrate", "calibration_images": 25}
DECIDE = {
    "model": ({}, "normed"),
    "data": ({}, {"images": 20}),
    "threshold": ({}, 19.0),
    "weight": ({}, 0.4),
    "offset": ({}, 9.0),
    "prune": ({}, "all"),
    "batch_size": ({}, 5),
    "precision": ({}, "bfloat16"),
    "seed_with": ({"population": 12}, "magnitude"),
    "floor": (SEEDED, "0,0.2"),
    "climb": (SEEDED, True),
    "compensate": (COMPENSATED, "mean"),
    "compensation_images": (COMPENSATED, 20),
    "calibration_images": (RECALIBRATED, 20),
    "objective": ({}, "macs"),
    "latency_batch": ({"objective": "latency"}, 2),
    "objectives": ({}, "accuracy,macs"),
    "front_limit": ({"objectives": "accuracy,macs", "threshold": 5.0}, 30.0),
    "finish": ({}, True),
    "population": ({}, 12),
    "parents": ({}, 3),
    "mutation": ({}, 0.06),
    "population_cap": ({}, 13),
    "pairing": ({}, "all"),
    "initial_removal": ({}, 0.2),
    "seed": ({}, 6),
    "stop_early": ({}, False),
    "race": ({}, 0.05),
    "islands": ({}, 2),
    "migrate_every": ({"islands": 2}, 3),
    "migrants": ({"islands": 2}, 1),
    "mutate": (SEEDED, "budget"),
    "crossover": ({}, "layers"),
    "round_to": ({}, 2),
}
"""Option -> the other options with which it has an effect, and another value."""

LEAVE = {"generations": ({}, 1), "patience": ({}, 3), "force": ({}, True)}

OF_SETTINGS = {field.name for field in fields(SearchSettings)}


@pytest.fixture
def identity(tiny_directory, tiny_data, normed_directory, monkeypatch):
    """Of a search, by artifacts that are made up: that they enter the identity is what matters."""
    knowledge = "experiments.runs.knowledge"
    # The moments are made up, and fit no network.
    monkeypatch.setattr(MomentsArtifact, "misfit", lambda *_: None)
    monkeypatch.setitem(
        IMPORTANCES, "magnitude", lambda subject: np.arange(subject.layout.n_filters, dtype=float)
    )
    monkeypatch.setattr(
        f"{knowledge}.latency.measure", lambda network, groups, batch: LatencyTable((), batch, "cpu")
    )
    monkeypatch.setattr(
        f"{knowledge}.compensation.gather_moments",
        lambda network, normalisation, images, groups: {"conv1": np.eye(5) * len(images)},
    )

    def of(changes):
        chosen = {name: value for name, value in changes.items() if name not in OF_SETTINGS}
        directory = normed_directory if chosen.pop("model", None) else tiny_directory
        data = chosen.pop("data", {})
        settings = replace(SETTINGS, **{name: changes[name] for name in changes.keys() & OF_SETTINGS})
        options = options_for(
            directory, tiny_data, **{"generations": 0, "force": False, "settings": settings, **chosen}
        )
        options = replace(options, data=replace(options.data, **data))
        problem = Problem.load(options.on(Backend()), Silent())
        return problem.identity(Knowledge.compute(problem).digests())

    return of


def test_every_option_is_tried():
    options = {field.name for field in fields(SearchOptions)} - {"settings"}
    assert options | OF_SETTINGS == DECIDE.keys() | LEAVE.keys()
    assert not DECIDE.keys() & LEAVE.keys()


@pytest.mark.parametrize("name", DECIDE)
def test_what_decides_the_search_decides_the_identity(identity, name):
    others, value = DECIDE[name]
    assert identity(others) != identity({**others, name: value})


@pytest.mark.parametrize("name", LEAVE)
def test_what_ends_the_search_leaves_the_identity(identity, name):
    others, value = LEAVE[name]
    assert identity(others) == identity({**others, name: value})
