"""Searches for a front of a real network, from ``--objectives`` to the network that ``--pick`` writes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.config import SearchSettings
from engine.contracts import FAILED
from engine.errors import OptionError, RunError
from engine.run_directory import RunDirectory
from experiments import cli
from experiments.commands.lines import summary_lines
from experiments.exporting import export_run
from experiments.front_points import thinned
from experiments.measuring import DataOptions, evaluate_model
from experiments.report import make_report
from experiments.search_options import SearchOptions
from experiments.search_run import resume_search, start_search
from experiments.status import read_status
from experiments.training_run import NetworkOptions, train_model
from fitness.genome import Genome
from models import store
from models.training_settings import TrainingSettings
from tests.experiments.html_page import Page

SETTINGS = SearchSettings(population=8, parents=4, mutation=0.05, population_cap=12, initial_removal=0.3, seed=5)
GENERATIONS = 8


def options_for(directory, data, **changes):
    chosen = {
        "generations": GENERATIONS,
        "threshold": 20.0,
        "objectives": "accuracy,parameters,macs",
        "settings": SETTINGS,
        **changes,
    }
    return SearchOptions(str(directory), DataOptions(f"npz:{data}"), **chosen)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "finished"
    return path, start_search(path, options_for(tiny_directory, tiny_data))


def traces(path):
    newest = max((path / "checkpoints").iterdir())
    return (path / "journal.jsonl").read_bytes(), newest.name, newest.read_bytes()


def scored(run, directory):
    """Accuracy, parameter and MAC drop of all that a run has a count of, ``float64[n, 3]``."""
    state = RunDirectory.open(run).latest(pytest.fail).state
    genome = Genome.of(store.load(directory).network)
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
    assert read_status(run) == {key: value for key, value in result.items() if key != "held_out"}
    front = result["front"]
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


@pytest.mark.parametrize("islands", [1, 2])
def test_a_search_interrupted_leaves_the_traces_of_one_that_never_was(
    finished, tiny_directory, tiny_data, tmp_path, islands
):
    options = options_for(tiny_directory, tiny_data, settings=replace(SETTINGS, islands=islands, migrate_every=3))
    whole, parts = finished[0], tmp_path / "parts"
    if islands > 1:
        whole = tmp_path / "whole"
        start_search(whole, options)
    start_search(parts, replace(options, generations=2))
    resume_search(parts, generations=5)
    resume_search(parts, generations=GENERATIONS)
    assert traces(parts) == traces(whole)


def test_objectives_and_limit_are_part_of_a_run(finished, tmp_path):
    description = RunDirectory.open(finished[0]).description()
    for changes in ({"objectives": None}, {"objectives": "accuracy,macs"}, {"front_limit": 30.0}):
        changed = {**description, "configuration": {**description["configuration"], **changes}}
        copy = RunDirectory.create(tmp_path / str(len(list(tmp_path.iterdir()))), changed)
        with pytest.raises(RunError, match="not those that"):
            resume_search(copy.location)


def test_a_run_from_before_there_were_fronts_is_resumed_as_it_was(tiny_directory, tiny_data, tmp_path):
    options = options_for(tiny_directory, tiny_data, objectives=None)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    start_search(whole, options)
    start_search(parts, replace(options, generations=4))
    description = RunDirectory.open(parts).description()
    del description["configuration"]["objectives"], description["configuration"]["front_limit"]
    (parts / "run.json").write_text(json.dumps(description))
    resume_search(parts, generations=GENERATIONS)
    assert traces(parts) == traces(whole)
    assert "front" not in read_status(parts)


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
        assert exported["accuracy_drop"] == pytest.approx(accuracy[meets].min())
    else:
        assert exported["parameter_drop"] == pytest.approx(parameters[meets].max())
    assert exported["pick"] == wanted
    assert exported["max_logit_difference"] < 1e-4
    measured = evaluate_model(tmp_path / "picked", DataOptions(f"npz:{tiny_data}", split="train"))
    assert measured["correct"] == exported["correct"]
    assert measured["parameters"] == exported["parameters"]
    assert store.load(tmp_path / "picked").notes["pruned_from"]["pick"] == wanted


def test_a_compensated_run_is_picked_from_as_it_was_scored(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    start_search(run, options_for(tiny_directory, tiny_data, generations=3, compensate="linear"))
    exported = export_run(run, tmp_path / "picked", pick="accuracy_drop<20,parameter_drop>1")
    measured = evaluate_model(tmp_path / "picked", DataOptions(f"npz:{tiny_data}", split="train"))
    assert measured["correct"] == exported["correct"]
    assert exported["removed_filters"] > 0


def test_a_pick_that_nothing_meets_writes_nothing(finished, tmp_path, capsys):
    pruned = tmp_path / "pruned"
    for wanted, sentence in (
        ("accuracy_drop<-90", "fits none of the"),
        ("accuracy<1", "is no condition"),
    ):
        status = cli.run(["export", str(finished[0]), str(pruned), "--pick", wanted])
        output = capsys.readouterr()
        assert status == 2
        assert output.out == ""
        assert len(output.err.strip().splitlines()) == 1
        assert sentence in output.err
        assert not pruned.exists()


def test_the_report_shows_the_front_thinned(finished):
    run, result = finished
    report = make_report(run)
    assert report["front"] == result["front"]
    text = (run / "report" / "report.md").read_text()
    assert "## Front" in text
    assert "accuracy, parameters, macs, by NSGA-II, up to an accuracy drop of 100%" in text
    assert "mac_trade_off.png" in text
    page = Page((run / "report" / "report.html").read_text())
    rows = page.table("accuracy")[1:]
    points = thinned(result["front"]["points"])
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
        ({"objectives": "accuracy"}, "--objectives accuracy must name"),
        ({"front_limit": 5.0}, "--front-limit 5.0 is below --threshold 20.0"),
        ({"objectives": None, "front_limit": 30.0}, "give both, or neither"),
        ({"settings": replace(SETTINGS, race=0.1)}, "--race 0.1"),
    ):
        with pytest.raises(OptionError, match=sentence):
            start_search(tmp_path / "run", options_for(tiny_directory, tiny_data, **changes))
    assert not (tmp_path / "run").exists()


def test_ray_finds_the_same_front(finished, tiny_directory, tiny_data, tmp_path):
    pytest.importorskip("ray")
    from engine.pool_options import PoolOptions
    from experiments.search_options import Backend

    start_search(tmp_path / "ray", options_for(tiny_directory, tiny_data), Backend("ray", PoolOptions(workers=2)))
    assert traces(tmp_path / "ray") == traces(finished[0])


@pytest.mark.slow
def test_digits_from_the_command_line_to_a_picked_network(tmp_path, capsys):
    model, run, picked = (str(tmp_path / name) for name in ("model", "run", "picked"))
    trained = DataOptions("digits", images=600)
    train_model(
        tmp_path / "model",
        NetworkOptions("vgg11", width_multiplier=0.1),
        trained,
        TrainingSettings(epochs=4, batch_size=32),
    )
    search = ["search", run, "--model", model, "--data", "digits", "--images", "300", "--generations", "6"]
    options = [
        "--objectives",
        "accuracy,parameters,macs",
        "--objective",
        "macs",
        "--preset",
        "paper",
        "--population",
        "12",
        "--parents",
        "6",
    ]
    assert cli.run([*search, *options, "--mutation", "0.01", "--initial-removal", "0.3", "--json"]) == 0
    points = json.loads(capsys.readouterr().out)["front"]["points"]
    wanted = max((p for p in points if p["accuracy_drop"] < 5), key=lambda p: p["mac_drop"])
    assert cli.run(["export", run, picked, "--pick", "accuracy_drop<5", "--json"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert [exported[name] for name in ("mac_drop", "macs", "correct")] == [
        pytest.approx(wanted["mac_drop"]),
        wanted["macs"],
        wanted["correct"],
    ]
    # The same 300 images: they are drawn by the seed of the search, which is 0 as that of evaluate.
    measured = evaluate_model(tmp_path / "picked", DataOptions("digits", split="train", images=300))
    assert measured["correct"] == wanted["correct"]


def test_failed_masks_are_no_part_of_the_population_that_is_kept(finished):
    state = RunDirectory.open(finished[0]).latest(pytest.fail).state
    assert len({each.mask.tobytes() for each in state.population}) == len(state.population) <= 12
    assert all(each.correct != FAILED for each in state.population)
