"""Searches whose operators go by importances: what is kept in the run, and that nothing else decides."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import OptionError, RunError
from engine.pool_options import PoolOptions
from engine.run_directory import RunDirectory
from engine.variation.registry import MUTATIONS
from experiments import guidance, search_run
from experiments.progress import Silent
from experiments.search_options import Backend, SearchOptions
from experiments.search_run import resume_search, start_search
from experiments.status import read_status
from fitness.seeding import LARGEST_COMPENSATED_REMOVAL, LARGEST_REMOVAL
from tests.experiments.test_search_run import GENERATIONS, SETTINGS, options_for, traces

GUIDED = replace(SETTINGS, population=12, mutate=",".join(MUTATIONS), crossover="layers")


def guided_for(directory, data, **changes):
    chosen = {"settings": GUIDED, "seed_with": "magnitude,taylor", "floor": "0,0.2", "climb": True, **changes}
    return options_for(directory, data, **chosen)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "finished"
    return path, start_search(path, guided_for(tiny_directory, tiny_data))


def test_an_interrupted_search_is_the_one_that_never_stopped(
    finished, tiny_directory, tiny_data, tmp_path, monkeypatch
):
    """With all mutations at once; each alone, and each crossover: tests/engine/test_variation.py."""
    parts = tmp_path / "parts"
    start_search(parts, guided_for(tiny_directory, tiny_data, generations=1))
    monkeypatch.setattr(search_run, "compute_importances", None)
    resume_search(parts, generations=3)
    assert resume_search(parts, generations=GENERATIONS) == finished[1]
    assert traces(parts) == traces(finished[0])


def test_ray_leaves_the_same_traces(finished, tiny_directory, tiny_data, tmp_path):
    pytest.importorskip("ray")
    backend = Backend("ray", PoolOptions(workers=2))
    assert start_search(tmp_path / "ray", guided_for(tiny_directory, tiny_data), backend) == finished[1]
    assert traces(tmp_path / "ray") == traces(finished[0])


def test_a_run_that_was_killed_before_generation_0_begins_with_the_importances_that_it_has(
    finished, tiny_directory, tiny_data, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(search_run.Search, "start", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            start_search(run, guided_for(tiny_directory, tiny_data))
    monkeypatch.setattr(search_run, "compute_importances", None)
    assert resume_search(run) == finished[1]
    assert traces(run) == traces(finished[0])


def test_a_climb_that_was_killed_goes_on_with_what_it_counted(
    finished, tiny_directory, tiny_data, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    heard = []

    class Killing(Silent):
        def founding(self, evaluations):
            heard.append(evaluations)
            if len(heard) == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_search(run, guided_for(tiny_directory, tiny_data), reporter=Killing())
    assert heard == sorted(set(heard))
    status = read_status(run)
    assert (status["generation"], status["best"], status["evaluations"]) == (None, None, heard[-1])
    assert resume_search(run, reporter=Killing()) == finished[1]
    assert heard[5] > heard[4], "what was counted was counted again"
    assert traces(run) == traces(finished[0])


@pytest.mark.parametrize("damage", ["missing", "cut", "another", "without a method"])
def test_importances_that_are_not_the_runs_are_refused(finished, tmp_path, damage):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    path = run / "importances.safetensors"
    arrays = load_file(path)
    assert sorted(arrays) == ["magnitude", "taylor"]
    assert [array.shape for array in arrays.values()] == [(18,), (18,)]
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "another":
        save_file({**arrays, "taylor": np.nextafter(arrays["taylor"], 9.0)}, path)
    else:
        save_file({"taylor": arrays["taylor"]}, path)
    before = (run / "run.json").read_bytes()
    with pytest.raises(RunError, match=r"importances\.safetensors is .*restore it\."):
        resume_search(run, generations=GENERATIONS + 1)
    assert (run / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda numbers: numbers[1:],
        lambda numbers: numbers[:, None],
        lambda numbers: numbers.astype(np.float32),
        lambda numbers: numbers / 0.0,
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_importances_of_something_else_are_refused_though_their_digest_is_right(finished, tmp_path, change):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    path = run / "importances.safetensors"
    found = load_file(path)
    arrays = {"magnitude": found["magnitude"], "taylor": change(found["taylor"])}
    save_file(arrays, path)
    opened = RunDirectory.open(run)
    opened.write_description({**opened.description(), **guidance.digest(arrays)})
    with pytest.raises(
        RunError, match=r"importances\.safetensors does not fit .*'taylor'.* 18 filters; restore it"
    ):
        resume_search(run, generations=GENERATIONS + 1)


def test_searches_that_go_by_nothing_keep_nothing(tiny_directory, tiny_data, tmp_path):
    identities = set()
    changes = [{}, {"floor": "0,0.2"}, {"settings": replace(GUIDED, mutate="budget")}]
    for number, change in enumerate(changes):
        run = tmp_path / str(number)
        chosen = {"settings": replace(SETTINGS, population=12), "seed_with": "magnitude", **change}
        start_search(run, options_for(tiny_directory, tiny_data, generations=0, **chosen))
        assert (run / "importances.safetensors").exists() == ("settings" in change)
        identities.add(RunDirectory.open(run).description()["identity"])
    assert len(identities) == len(changes)


def test_a_configuration_from_before_there_were_operators_to_choose_is_read(tiny_directory, tiny_data):
    options = options_for(tiny_directory, tiny_data, seed_with="magnitude")
    entry = options.to_json()
    del entry["floor"], entry["climb"], entry["settings"]["mutate"], entry["settings"]["crossover"]
    assert SearchOptions.from_json(entry) == options


def test_a_climb_is_counted(finished, tiny_directory, tiny_data, tmp_path):
    start_search(tmp_path / "flat", guided_for(tiny_directory, tiny_data, climb=False, generations=0))
    first = RunDirectory.open(finished[0]).journal()[0]
    flat = RunDirectory.open(tmp_path / "flat").journal()[0]
    assert first["evaluations"] > flat["evaluations"]
    assert first["best"]["parameter_drop"] >= flat["best"]["parameter_drop"]


def test_evaluations_end_a_search(finished, tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    begun = RunDirectory.open(finished[0]).journal()[0]["evaluations"]
    result = start_search(run, guided_for(tiny_directory, tiny_data), evaluations=begun + 1)
    assert (result["generation"], result["complete"]) == (1, False)
    assert resume_search(run, evaluations=begun + 1)["generation"] == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"floor": "0.1"}, "--floor 0.1 needs importances"),
        ({"climb": True}, "--climb needs importances"),
        ({"settings": GUIDED}, r"--mutate bits,.* needs importances to go by; name some with --seed-with"),
        ({"floor": "a tenth", "seed_with": "taylor"}, "--floor 'a tenth' is not a list of numbers"),
        ({"floor": "0.1,2", "seed_with": "taylor"}, "--floor is the share of each layer that stays, .* not 2"),
    ],
)
def test_options_that_cannot_be_are_refused(tiny_directory, tiny_data, changes, sentence):
    with pytest.raises(OptionError, match=sentence):
        options_for(tiny_directory, tiny_data, **changes)


def test_compensated_seeds_reach_further(tiny_directory, tiny_data):
    plain = options_for(tiny_directory, tiny_data, seed_with="magnitude", settings=GUIDED)
    assert plain.ladders.largest == LARGEST_REMOVAL
    assert replace(plain, compensate="mean").ladders.largest == LARGEST_COMPENSATED_REMOVAL
    assert SearchOptions.from_json(plain.to_json()) == plain
