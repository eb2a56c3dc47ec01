"""Searches for fewer MACs or less latency, from the option to the files."""

import json
import shutil
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from engine.errors import OptionError, RunError
from engine.run.directory import RunDirectory
from experiments.baselines.method_comparison import compare_baselines
from experiments.baselines.options import BaselineOptions
from experiments.baselines.plots import baseline_figure
from experiments.cli.output import summary_lines
from experiments.data.options import DataOptions
from experiments.report.run import make_report
from experiments.runs.exporting.export import export_run
from experiments.runs.finish import finish
from experiments.runs.finish.choosing import candidates
from experiments.runs.options import SearchOptions
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import read_status
from fitness.objective.front import FIGURES
from fitness.objective.rewards import OBJECTIVES
from models import model_directory
from models.latency import measuring
from models.latency.table import LatencyTable
from tests.support.runs import SETTINGS, options_for


@pytest.fixture(autouse=True, scope="module")
def short_table():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "POINTS", 2)
        patch.setattr(measuring, "ROUNDS", 1)
        yield


@pytest.fixture(scope="module")
def fast(tmp_path_factory, tiny_directory, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "fast"
    return path, start_search(path, options_for(tiny_directory, tiny_data, objective="latency"))


def test_the_score_of_best_is_the_drop_of_macs(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    result = start_search(run, options_for(tiny_directory, tiny_data, objective="macs"))
    best = result.best
    assert best["score"] == best["mac_drop"] > 0
    assert best["score"] != best["parameter_drop"]
    assert "latency_drop" not in best
    assert not (run / "latency.json").exists()
    assert read_status(run).objective == result.objective == "macs"
    assert "for dropped MACs" in summary_lines(result)[1]


def test_the_score_of_best_is_the_drop_of_the_tables_latency(fast, tiny_genome):
    run, result = fast
    best = result.best
    assert best["score"] == best["latency_drop"] >= 0
    table = LatencyTable.from_json(json.loads((run / "latency.json").read_text()))
    mask = RunDirectory.open(run).latest(pytest.fail).state.best.individual.mask
    kept = {name: np.array([keep.sum()]) for name, keep in tiny_genome.layout.split(mask).items()}
    [milliseconds], [whole] = table(kept, 1), table({}, 1)
    assert best["latency_ms"] == milliseconds
    assert best["latency_drop"] == pytest.approx(100 * (whole - milliseconds) / whole)
    assert any(f"{milliseconds:.3f} ms" in line for line in summary_lines(result))


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_a_table_that_is_not_the_runs_is_refused(fast, tmp_path, damage):
    run = shutil.copytree(fast[0], tmp_path / "run")
    table = run / "latency.json"
    content = table.read_text()
    table.unlink()
    if damage != "missing":
        table.write_text(content[:-40] if damage == "cut" else content.replace('"batch": 1', '"batch": 2'))
    with pytest.raises(RunError, match=r"latency\.json.*restore it"):
        resume_search(run)


def test_impossible_options_are_refused(tiny_directory, tiny_data):
    with pytest.raises(OptionError, match="`objective` must be one of parameters, macs, latency"):
        options_for(tiny_directory, tiny_data, objective="watts")
    with pytest.raises(OptionError, match="`latency_batch`"):
        options_for(tiny_directory, tiny_data, latency_batch=0)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_finish_begins_with_what_drops_most_of_the_objective(
    tiny_directory, tiny_data, tmp_path, objective, monkeypatch
):
    monkeypatch.setattr(
        measuring, "_seconds", lambda programs: [_weights(program.arrays) for program in programs]
    )
    drops = []

    def noted(state, layout, searched, goal):
        found = candidates(state, layout, searched, goal)
        right = np.zeros(len(found.masks), np.int64)
        figures = searched.appraise(found.masks, right, state.original_correct).figures
        drops.extend(figures[OBJECTIVES[objective].figure])
        return found

    monkeypatch.setattr(finish, "candidates", noted)
    chosen = options_for(tiny_directory, tiny_data, objective=objective, generations=0, finish=True)
    start_search(tmp_path / "run", replace(chosen, data=replace(chosen.data, images=15)))
    assert len(drops) > 1
    assert all(more > less for more, less in pairwise(drops))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_pick_drops_what_stands_for_the_objective_on_fronts(tiny_directory, tiny_data, objective):
    alone = options_for(tiny_directory, tiny_data, objective=objective)
    expected = {"parameters": "parameter_drop", "macs": "mac_drop", "latency": "mac_drop"}[objective]
    assert alone.goal == expected
    for names in ("accuracy,parameters", "accuracy,macs", "accuracy,macs,parameters"):
        among = [FIGURES[name] for name in names.split(",")[1:]]
        wanted = OBJECTIVES[objective].figure
        assert replace(alone, objectives=names).goal == (wanted if wanted in among else among[0])


def test_the_command_line_knows_every_objective():
    [choices] = [field.metadata["choices"] for field in fields(SearchOptions) if field.name == "objective"]
    assert choices == tuple(OBJECTIVES)


def test_widths_are_rounded_up_to_the_exported_network(tiny_directory, tiny_data, tmp_path):
    settings = replace(SETTINGS, round_to=4, mutation=0.2)
    start_search(tmp_path / "run", options_for(tiny_directory, tiny_data, threshold=60.0, settings=settings))
    export_run(tmp_path / "run", tmp_path / "pruned")
    pruned, original = (
        {group.name: group.size for group in model_directory.load(path).network.filter_groups}
        for path in (tmp_path / "pruned", tiny_directory)
    )
    assert pruned != original
    assert all(width % 4 == 0 or width == original[name] for name, width in pruned.items())


def _weights(arrays):
    return 1 + sum(array.size for array in arrays.values())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_other_methods_are_ranked_by_the_same_objective(tiny_directory, tiny_data, objective, monkeypatch):
    # Layers this small may all seem to take the same time when the machine is busy.
    monkeypatch.setattr(
        measuring, "_seconds", lambda programs: [_weights(program.arrays) for program in programs]
    )
    data = DataOptions(f"npz:{tiny_data}")
    options = BaselineOptions(
        data, methods="random,magnitude,random-search", threshold=40.0, budget=12, objective=objective
    )
    result = compare_baselines(tiny_directory, options)
    drop = OBJECTIVES[objective].figure
    drops = [entry[f"{drop}_within_threshold"] for entry in result["methods"].values()]
    assert max(drops) > 0
    # The best comes first in the table.
    first = next(line for line in result["table"].splitlines() if f"{max(drops):.2f}%" in line)
    assert first == result["table"].splitlines()[2]
    figure = baseline_figure(result)
    assert {axes.get_xlabel() for axes in figure.axes} == {f"{OBJECTIVES[objective].noun} dropped (%)"}
    searched = result["methods"]["random-search"]["curve"]
    assert [point[drop] for point in searched] == sorted(point[drop] for point in searched)


def test_the_report_names_the_objective(fast):
    report = make_report(fast[0])
    assert report["settings"]["objective"] == "to drop latency, batches of 1"
    assert "--objective latency" in report["command"]
    assert (fast[0] / "report" / "latency_drop.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
