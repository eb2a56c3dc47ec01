"""Searches whose operators are guided by importances, and the importances that their runs keep."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import EvaluationError, OptionError, RunError
from engine.run.directory import RunDirectory
from engine.search.operators.mutation import MUTATIONS
from experiments.progress import Silent
from experiments.runs.knowledge.importances import ImportancesArtifact
from experiments.runs.options import SearchOptions
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import read_status
from fitness.importance import IMPORTANCES
from fitness.seeding.founders import LARGEST_COMPENSATED_REMOVAL, LARGEST_REMOVAL
from tests.support.runs import GENERATIONS, SETTINGS, options_for, traces

GUIDED = replace(SETTINGS, population=12, mutate=",".join(MUTATIONS), crossover="layers")


def guided_for(directory, data, **changes):
    chosen = {"settings": GUIDED, "seed_with": "magnitude,taylor", "floor": "0,0.2", "climb": True, **changes}
    return options_for(directory, data, **chosen)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "finished"
    return path, start_search(path, guided_for(tiny_directory, tiny_data))


def test_a_climb_that_was_killed_goes_on_with_what_it_counted(
    finished, tiny_directory, tiny_data, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    heard = []

    class Killing(Silent):
        def first_generation(self, evaluations):
            heard.append(evaluations)
            if len(heard) == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_search(run, guided_for(tiny_directory, tiny_data), reporter=Killing())
    assert heard == sorted(set(heard))
    status = read_status(run)
    assert (status.generation, status.best, status.evaluations) == (None, None, heard[-1])
    assert resume_search(run, reporter=Killing()) == finished[1]
    assert heard[5] > heard[4], "what was counted was counted again"
    assert traces(run) == traces(finished[0])


@pytest.mark.parametrize(
    "importance",
    [
        lambda subject: np.full(subject.layout.n_filters, np.nan),
        lambda subject: np.ones(subject.layout.n_filters, np.float32),
        lambda subject: np.ones(subject.layout.n_filters + 1),
    ],
)
def test_an_importance_that_ranks_nothing_is_refused_before_a_run_begins(
    tiny_directory, tiny_data, tmp_path, monkeypatch, importance
):
    monkeypatch.setitem(IMPORTANCES, "magnitude", importance)
    with pytest.raises(EvaluationError, match="'magnitude' has no finite float64 for each of its 18 filters"):
        start_search(tmp_path / "run", guided_for(tiny_directory, tiny_data))
    assert not (tmp_path / "run").exists()


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
    opened.write_description(
        {**opened.description(), ImportancesArtifact.entry: ImportancesArtifact().digest(arrays)}
    )
    with pytest.raises(
        RunError, match=r"importances\.safetensors does not fit .*'taylor'.* 18 filters; restore it"
    ):
        resume_search(run, generations=GENERATIONS + 1)


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
    assert (result.generation, result.complete) == (1, False)
    assert resume_search(run, evaluations=begun + 1).generation == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"floor": "0.1"}, "`floor` 0.1 needs importances"),
        ({"climb": True}, "`climb` needs importances"),
        ({"settings": GUIDED}, r"`mutate` bits,.* needs importances to go by; name some with `seed_with`"),
        ({"floor": "a tenth", "seed_with": "taylor"}, "`floor` 'a tenth' is not a list of numbers"),
        ({"floor": "0.1,2", "seed_with": "taylor"}, "`floor` is the share of each layer that stays, .* not 2"),
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
