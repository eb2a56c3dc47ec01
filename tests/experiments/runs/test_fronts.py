"""Searches for a front of a real network, from ``--objectives`` to the network that ``--pick`` writes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.contracts import FAILED
from engine.errors import OptionError, RunError
from engine.run.directory import RunDirectory
from experiments.cli import main
from experiments.cli.output import summary_lines
from experiments.data.options import DataOptions
from experiments.measurement.measuring import evaluate_model
from experiments.report.run import make_report
from experiments.runs.exporting.export import export_run
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.front_points import thinned
from experiments.runs.watching.status import read_status
from experiments.training.network_options import NetworkOptions
from experiments.training.train import train_model
from fitness.genome import Genome
from models import model_directory
from models.training.settings import TrainingSettings
from tests.support import runs
from tests.support.html_page import Page
from tests.support.runs import SETTINGS

FRONT = {"objectives": "accuracy,parameters,macs", "settings": replace(SETTINGS, initial_removal=0.3)}


def options_for(directory, data, **changes):
    return runs.options_for(directory, data, **{**FRONT, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "finished"
    return path, start_search(path, options_for(tiny_directory, tiny_data))


def scored(run, directory):
    """Accuracy, parameter and MAC drop of all that a run has a count of, ``float64[n, 3]``."""
    state = RunDirectory.open(run).latest(pytest.fail).state
    genome = Genome.of(model_directory.load(directory).network)
    packed, correct = state.archive.to_arrays()
    masks, correct = genome.layout.unpack(packed[correct >= 0]), correct[correct >= 0]
    cost, full = genome(masks), genome(genome.layout.full()[None])
    drops = [
        (1 - correct / state.original_correct),
        (1 - cost.parameters / full.parameters[0]),
        (1 - cost.macs / full.macs[0]),
    ]
    return 100 * np.stack(drops, axis=1)


def test_the_front_is_told_by_result_status_and_journal_alike(finished, tiny_directory):
    run, result = finished
    assert read_status(run).to_json() == runs.progress_of(result)
    front = result.front
    told = RunDirectory.open(run).journal()[-1]["front"]
    assert told == {"size": front["size"], "hypervolume": front["hypervolume"]}
    assert f"front of {front['size']} masks" in "\n".join(summary_lines(result))
    drops = scored(run, tiny_directory)
    # Exactly, whatever divisions do in the last bit: no mask is better by more than that in one and worse in none.
    signed = drops * [-1, 1, 1]
    kept = {
        tuple(row.round(6))
        for row in signed
        if not ((signed >= row - 1e-9).all(axis=1) & (signed > row + 1e-9).any(axis=1)).any()
    }
    points = [(-point["accuracy_drop"], point["parameter_drop"], point["mac_drop"]) for point in front["points"]]
    assert {tuple(np.round(point, 6)) for point in points} == kept
    assert len(points) == len(kept) == front["size"] > 3
    assert points == sorted(points, reverse=True)


def test_objectives_and_limit_are_part_of_a_run(finished, tmp_path):
    description = RunDirectory.open(finished[0]).description()
    for changes in ({"objectives": None}, {"objectives": "accuracy,macs"}, {"front_limit": 30.0}):
        changed = {**description, "configuration": {**description["configuration"], **changes}}
        copy = RunDirectory.create(tmp_path / str(len(list(tmp_path.iterdir()))), changed)
        with pytest.raises(RunError, match="not those that"):
            resume_search(copy.location)


@pytest.mark.parametrize(
    ("wanted", "goal"),
    [("accuracy_drop<8", 1), ("accuracy_drop<=15,mac_drop>5", 1), ("parameter_drop>=20", None)],
)
def test_a_pick_is_the_best_of_all_masks_and_evaluates_to_its_count(
    finished, tiny_directory, tiny_data, tmp_path, wanted, goal
):
    run, _ = finished
    accuracy, parameters, macs = scored(run, tiny_directory).T
    meets = {
        "accuracy_drop<8": accuracy < 8 - 1e-9,
        "accuracy_drop<=15,mac_drop>5": (accuracy <= 15 + 1e-9) & (macs > 5),
        "parameter_drop>=20": parameters >= 20,
    }[wanted]
    exported = export_run(run, tmp_path / "picked", pick=wanted)
    if goal is None:
        assert exported.accuracy_drop == pytest.approx(accuracy[meets].min())
    else:
        assert exported.parameter_drop == pytest.approx(parameters[meets].max())
    assert exported.pick == wanted
    assert exported.max_logit_difference < 1e-4
    measured = evaluate_model(tmp_path / "picked", DataOptions(f"npz:{tiny_data}", split="train"))
    assert measured.correct == exported.correct
    assert measured.parameters == exported.parameters
    assert model_directory.load(tmp_path / "picked").notes["pruned_from"]["pick"] == wanted


def test_a_compensated_run_is_picked_from_as_it_was_scored(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    start_search(run, options_for(tiny_directory, tiny_data, generations=3, compensate="linear"))
    exported = export_run(run, tmp_path / "picked", pick="accuracy_drop<20,parameter_drop>1")
    measured = evaluate_model(tmp_path / "picked", DataOptions(f"npz:{tiny_data}", split="train"))
    assert measured.correct == exported.correct
    assert exported.removed_filters > 0


def test_a_pick_that_nothing_meets_writes_nothing(finished, tmp_path, capsys):
    pruned = tmp_path / "pruned"
    for wanted, sentence in (
        ("accuracy_drop<-90", "fits none of the"),
        ("accuracy<1", "is no condition"),
    ):
        status = main.run(["export", str(finished[0]), str(pruned), "--pick", wanted])
        output = capsys.readouterr()
        assert status == 2
        assert output.out == ""
        *_, last = output.err.strip().splitlines()
        assert sentence in last
        assert not pruned.exists()


def test_the_report_shows_the_front_thinned(finished):
    run, result = finished
    report = make_report(run)
    assert report["front"] == result.front
    text = (run / "report" / "report.md").read_text()
    assert "## Front" in text
    assert "accuracy, parameters, macs, by NSGA-II, up to an accuracy drop of 100%" in text
    assert "mac_trade_off.png" in text
    page = Page((run / "report" / "report.html").read_text())
    rows = page.table("accuracy")[1:]
    points = thinned(result.front["points"])
    assert [row[1:] for row in rows] == [
        [f"{point[name]:.2f}%" for name in ("parameter_drop", "mac_drop")] for point in points
    ]
    assert "--objectives accuracy,parameters,macs" in report["command"]


def test_a_thinned_front_has_both_ends():
    assert thinned(range(5), 20) == list(range(5))
    few = thinned(range(1000), 20)
    assert (few[0], few[-1], len(set(few))) == (0, 999, 20)


def test_objectives_that_cannot_be_searched_for_leave_no_run(tiny_directory, tiny_data, tmp_path):
    for changes, sentence in (
        ({"objectives": "accuracy"}, "`objectives` accuracy must name"),
        ({"front_limit": 5.0}, "`front_limit` 5.0 is below `threshold` 20.0"),
        ({"objectives": None, "front_limit": 30.0}, "give both, or neither"),
        ({"settings": replace(SETTINGS, race=0.1)}, "`race` 0.1"),
    ):
        with pytest.raises(OptionError, match=sentence):
            start_search(tmp_path / "run", options_for(tiny_directory, tiny_data, **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_digits_from_the_command_line_to_a_picked_network(tmp_path, capsys):
    model, run, picked = (str(tmp_path / name) for name in ("model", "run", "picked"))
    trained = DataOptions("digits", images=300)
    train_model(
        tmp_path / "model",
        NetworkOptions("vgg11", width_multiplier=0.05),
        trained,
        TrainingSettings(epochs=3, batch_size=30),
    )
    search = ["search", run, "--model", model, "--data", "digits", "--images", "100", "--generations", "3"]
    options = ["--objectives", "accuracy,parameters,macs", "--objective", "macs", "--preset", "paper", "--force"]
    options += ["--population", "12", "--parents", "6"]
    assert main.run([*search, *options, "--mutation", "0.01", "--initial-removal", "0.3", "--json"]) == 0
    points = json.loads(capsys.readouterr().out)["front"]["points"]
    wanted = max((p for p in points if p["accuracy_drop"] < 5), key=lambda p: p["mac_drop"])
    assert main.run(["export", run, picked, "--pick", "accuracy_drop<5", "--json"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert [exported[name] for name in ("mac_drop", "macs", "correct")] == [
        pytest.approx(wanted["mac_drop"]),
        wanted["macs"],
        wanted["correct"],
    ]
    # The same 100 images: they are drawn by the seed of the search, which is 0 as that of evaluate.
    measured = evaluate_model(tmp_path / "picked", DataOptions("digits", split="train", images=100))
    assert measured.correct == wanted["correct"]


def test_failed_masks_are_no_part_of_the_population_that_is_kept(finished):
    state = RunDirectory.open(finished[0]).latest(pytest.fail).state
    assert len({each.mask.tobytes() for each in state.population}) == len(state.population) <= 12
    assert all(each.correct != FAILED for each in state.population)
