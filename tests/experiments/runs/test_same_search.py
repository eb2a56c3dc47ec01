"""A search leaves the same journal and the same checkpoints on any backend and however often the search stops."""

from dataclasses import replace

import pytest

from engine.cluster.options import PoolOptions
from engine.errors import OptionError
from engine.run.directory import RunDirectory
from engine.search.loop import Search
from engine.search.operators.mutation import MUTATIONS
from experiments.runs.options import Backend
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import read_status
from fitness.importance import IMPORTANCES
from models.latency import measuring
from tests.support.runs import SETTINGS, options_for, traces

GENERATIONS = 5

SEEDED = replace(SETTINGS, population=12)
GUIDED = {
    "settings": replace(SEEDED, mutate=",".join(MUTATIONS), crossover="layers"),
    "seed_with": "magnitude,taylor",
    "floor": "0,0.2",
    "climb": True,
}
COMPENSATED = {"compensate": "linear", "compensation_images": 30}
RECALIBRATED = {"compensate": "linear+recalibrate", "compensation_images": 30, "calibration_images": 25}
FRONT = {"objectives": "accuracy,parameters,macs"}
ISLANDS = {"islands": 2, "migrate_every": 2, "migrants": 1}

FEATURES = {
    "plain": {},
    "islands": {"settings": replace(SETTINGS, **ISLANDS | {"islands": 3})},
    "race": {"settings": replace(SETTINGS, race=0.05)},
    "seeded": {"settings": SEEDED, "seed_with": "magnitude,taylor"},
    "seeded islands": {"settings": replace(SEEDED, **ISLANDS), "seed_with": "magnitude,taylor"},
    "guided": GUIDED,
    "compensated": COMPENSATED,
    "seeded, compensated": {"settings": SEEDED, "seed_with": "magnitude", **COMPENSATED},
    "recalibrated": {**RECALIBRATED, "force": True, "threshold": 60.0},
    "front": {"settings": replace(SETTINGS, initial_removal=0.3), **FRONT},
    "front of islands": {"settings": replace(SETTINGS, initial_removal=0.3, **ISLANDS), **FRONT},
    "macs": {"objective": "macs"},
    "latency": {"objective": "latency"},
    "everything": {
        **GUIDED,
        "settings": replace(GUIDED["settings"], **ISLANDS),
        **COMPENSATED,
        "objective": "latency",
    },
}
ALWAYS_ON_RAY = ("everything",)


@pytest.fixture(autouse=True, scope="module")
def latency_by_size():
    """Each program takes as long as its weights are many, so that two searches measure the same table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "POINTS", 2)
        patch.setattr(
            measuring,
            "_seconds",
            lambda programs: [1.0 + sum(array.size for array in program.arrays.values()) for program in programs],
        )
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_directory, normed_directory, tiny_data):
    """Gives the options, the run and the result of a search with a feature; each is searched for once."""
    made = {}

    def of(feature):
        if feature not in made:
            directory = normed_directory if feature == "recalibrated" else tiny_directory
            options = options_for(directory, tiny_data, generations=GENERATIONS, **FEATURES[feature])
            run = tmp_path_factory.mktemp("runs") / "whole"
            made[feature] = options, run, start_search(run, options)
        return made[feature]

    return of


@pytest.mark.parametrize("feature", FEATURES)
def test_a_search_that_stops_is_the_search_that_never_stopped(feature, whole, tmp_path, monkeypatch):
    """Killed before generation 0, stopped after generation 0 and after generation 3."""
    options, expected, result = whole(feature)
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Search, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            start_search(run, options)
    assert read_status(run).generation is None
    kept = {path: path.read_bytes() for path in run.glob("*.safetensors")} | {
        path: path.read_bytes() for path in run.glob("latency.json")
    }
    # A run keeps its latency table, and the importances by which its operators go.
    monkeypatch.setattr(measuring, "_seconds", None)
    if options.settings.guided:
        forbid_importances(monkeypatch)
    resume_search(run, generations=0)
    forbid_importances(monkeypatch)
    for generations in (0, 3):
        assert resume_search(run, generations=generations).generation == generations
        assert RunDirectory.open(run).journal() == RunDirectory.open(expected).journal()[: generations + 1]
    assert resume_search(run, generations=GENERATIONS) == result
    assert traces(run) == traces(expected)
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert RunDirectory.open(run).description()["configuration"]["generations"] == GENERATIONS


def interrupt(*_):
    raise KeyboardInterrupt


def forbid_importances(monkeypatch):
    for method in IMPORTANCES:
        monkeypatch.setitem(IMPORTANCES, method, lambda subject: pytest.fail("importances are computed again"))


@pytest.mark.parametrize(
    "feature",
    [pytest.param(name, marks=() if name in ALWAYS_ON_RAY else pytest.mark.slow) for name in FEATURES],
)
def test_ray_makes_the_same_search(feature, whole, tmp_path, local_ray):
    options, expected, result = whole(feature)
    run = tmp_path / "run"
    assert start_search(run, options, Backend("ray", PoolOptions(workers=2))) == result
    assert traces(run) == traces(expected)
    workers = read_status(run).workers
    assert workers.wanted == 2
    assert 0 < workers.utilisation <= 1


def test_a_damaged_checkpoint_costs_a_generation_and_nothing_else(whole, tmp_path):
    options, expected, _ = whole("plain")
    run = tmp_path / "run"
    start_search(run, replace(options, generations=3))
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:100])
    assert read_status(run).generation == 2
    resume_search(run, generations=GENERATIONS)
    assert traces(run) == traces(expected)


def test_what_is_kept_of_earlier_masks_changes_no_search(whole, tmp_path):
    """Nothing kept at first, and a limit that the resumed search reaches."""
    options, expected, result = whole("everything")
    run = tmp_path / "run"
    start_search(run, replace(options, generations=2), Backend(keep_memory=0))
    assert RunDirectory.open(run).description()["backend"]["keep_memory"] == 0
    assert resume_search(run, generations=GENERATIONS, keep_memory=1) == result
    assert traces(run) == traces(expected)
    with pytest.raises(OptionError, match="`keep_memory` must be 0 or more megabytes, not -1"):
        resume_search(run, generations=GENERATIONS + 1, keep_memory=-1)
