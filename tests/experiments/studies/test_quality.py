"""The quality protocol: every cell runs once, interrupted or not, and the figures agree with the cells."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import OptionError, RunError
from experiments.baselines import budgeted_run
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions
from experiments.studies.quality import protocol
from experiments.studies.quality.__main__ import study
from experiments.studies.quality.methods import GENETIC, METHODS, genetic_options
from experiments.studies.quality.page import MOST_LINES, best_so_far, drop_figures, tables
from experiments.studies.quality.protocol import QualityOptions, run_quality


@pytest.fixture(scope="module")
def options(tiny_directory, tiny_data):
    return QualityOptions(
        str(tiny_directory),
        DataOptions(f"npz:{tiny_data}"),
        evaluations=40,
        seeds=2,
        methods="paper,mutate-budget,ranking,hill-climbing",
        compensations="none,linear",
        thresholds=(20.0,),
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("quality") / "out"
    return out, run_quality(out, options)


def test_every_cell_is_there_with_its_figures(finished, options):
    out, results = finished
    assert len(results["cells"]) == 2 * (4 + 3)
    for cell in results["cells"]:
        assert cell["best"]["accuracy_drop"] < 20
        assert {split: cell["whole"][split]["total"] for split in cell["whole"]} == {"train": 40, "test": 10}
        # All 40 images are fitness images here, so the whole training split says the same.
        assert cell["whole"]["train"]["accuracy_drop"] == pytest.approx(cell["best"]["accuracy_drop"])
        assert cell["curve"][-1][1] == cell["best"]["parameter_drop"]
    assert json.loads((out / "results.json").read_text()) == results
    page = (out / "tables.md").read_text()
    assert page == tables(results)
    assert page.count("| hill-climbing") == 2
    assert (out / "drop-20.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_it_goes_on_where_it_was_stopped(finished, options, tmp_path, monkeypatch):
    few = replace(options, methods="ranking,mutate-budget", compensations="none", seeds=1)
    whole = protocol._whole

    def interrupted(*arguments):
        if (tmp_path / "out" / "runs" / "mutate-budget-none-20-0").exists():
            raise KeyboardInterrupt
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(protocol, "_whole", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_quality(tmp_path / "out", few)
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["cells"]) == 1
    monkeypatch.setattr(budgeted_run, "start_search", _only_new(budgeted_run.start_search, tmp_path / "out"))
    # A cell is the same in whatever company it is run.
    names = [("mutate-budget", 0), ("ranking", 0)]
    alone = [cell for cell in finished[1]["cells"] if cell["compensate"] == "none"]
    expected = [cell for cell in alone if (cell["method"], cell["seed"]) in names]
    assert run_quality(tmp_path / "out", few)["cells"] == expected


def _only_new(start, out):
    def checked(folder, *arguments, **options):
        assert folder != out / "runs" / "mutate-budget-none-20-0", "its search was complete"
        return start(folder, *arguments, **options)

    return checked


def test_other_options_are_another_experiment(finished, options):
    with pytest.raises(RunError, match="holds another experiment"):
        run_quality(finished[0], replace(options, evaluations=70))


def test_methods_thresholds_and_seeds_can_be_added(options, tmp_path):
    out = tmp_path / "out"
    first = run_quality(out, replace(options, methods="ranking", compensations="none"))
    more = replace(options, methods="hill-climbing", compensations="none", thresholds=(30.0,), seeds=1)
    both = run_quality(out, more)
    assert [(cell["method"], cell["threshold"]) for cell in both["cells"]] == [
        ("ranking", 20),
        ("hill-climbing", 30),
    ]
    assert both["cells"][0] == first["cells"][0]
    assert (out / "drop-20.png").exists()
    assert (out / "drop-30.png").exists()
    assert run_quality(out, replace(more, seeds=2))["cells"][:2] == both["cells"]


def test_the_last_word_may_be_on_part_of_the_training_split(options, tmp_path):
    chosen = replace(options, methods="ranking", compensations="none", train_images=30)
    (cell,) = run_quality(tmp_path / "out", chosen)["cells"]
    assert {split: cell["whole"][split]["total"] for split in cell["whole"]} == {"train": 30, "test": 10}
    with pytest.raises(RunError, match="holds another experiment"):
        run_quality(tmp_path / "out", replace(chosen, train_images=None))


def test_many_lines_are_told_apart_by_figures_for_each_compensation():
    methods = METHODS[:MOST_LINES]
    cells = [
        {"method": method, "compensate": compensate, "threshold": 0.5, "evaluations": 9, "curve": [[1, 2.0]]}
        for compensate in ("none", "linear")
        for method in methods
    ]
    settings = {"objective": "parameters"}
    assert list(drop_figures({"settings": settings, "cells": cells})) == ["drop-none-0_5", "drop-linear-0_5"]
    half = drop_figures({"settings": settings, "cells": cells[: len(methods)]})
    assert list(half) == ["drop-0_5"]
    assert len(half["drop-0_5"].axes[0].get_lines()) == len(methods)


def test_the_yardstick_is_the_papers_search(tiny_directory):
    data = DataOptions("digits")
    chosen = {"seed": 0, "threshold": 2.0, "compensate": "none", "evaluations": 100}
    assert genetic_options("paper", "m", data, **chosen) == SearchOptions("m", data)
    for method in GENETIC:
        assert genetic_options(method, "m", data, **{**chosen, "seed": 3}).settings.seed == 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"methods": "paper,guess"}, "`methods` 'guess' is not known"),
        ({"compensations": "some"}, "`compensations` 'some' is not known"),
        ({"train_images": 0}, "`train_images` must be 1 or more"),
        ({"seeds": 0}, "`seeds` must be 1 or more"),
        ({"evaluations": 0}, "`evaluations` must be 1 or more"),
    ],
)
def test_impossible_options_are_named(values, sentence):
    with pytest.raises(OptionError, match=sentence):
        QualityOptions("m", DataOptions("digits"), **values)


def test_rankings_run_once_and_first_seeds_first():
    order = QualityOptions("m", DataOptions("digits"), seeds=3).cells()
    assert [cell.method for cell in order].count("ranking") == 2
    assert [cell.seed for cell in order] == sorted(cell.seed for cell in order)
    assert {cell.method for cell in order} == set(METHODS)


def test_best_over_a_budget_by_hand():
    curve = [(10, 1.0), (20, 3.0)]
    assert best_so_far(curve, np.array([0, 9, 10, 19.5, 20, 100])).tolist() == [0, 0, 1, 1, 3, 3]


@pytest.mark.slow
def test_the_quick_protocol_runs_on_digits_and_goes_on(tmp_path):
    arguments = [str(tmp_path / "out"), "--quick"]
    first = CliRunner().invoke(study, arguments)
    assert first.exit_code == 0, first.output
    cells = json.loads((tmp_path / "out" / "results.json").read_text())["cells"]
    assert {(cell["method"], cell["compensate"]) for cell in cells} == {
        (method, compensate)
        for method in ("paper", "quality", "ranking", "hill-climbing")
        for compensate in ("none", "linear")
    }
    assert max(cell["best"]["parameter_drop"] for cell in cells if cell["method"] == "quality") > 10
    assert "## Threshold" in first.stdout
    assert CliRunner().invoke(study, arguments).stdout == first.stdout
    assert CliRunner().invoke(study, [str(tmp_path / "other")]).exit_code == 2
