"""One search for a front against one for each threshold: figures follow from the runs, nothing runs twice."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError, RunError
from engine.run.directory import RunDirectory
from experiments.baselines import budgeted_run
from experiments.data.options import DataOptions
from experiments.studies.fronts.__main__ import study
from experiments.studies.fronts.page import hypervolume, largest_within, tables
from experiments.studies.fronts.protocol import FRONT, FrontOptions, run_fronts

percents = st.floats(0, 100, allow_nan=False).map(lambda number: round(number, 3))


@pytest.fixture(scope="module")
def options(tiny_directory, tiny_data):
    data = DataOptions(f"npz:{tiny_data}")
    return FrontOptions(str(tiny_directory), data, evaluations=20, seeds=1, thresholds=(10.0, 30.0))


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("fronts") / "out"
    return out, run_fronts(out, options)


def test_all_that_was_searched_is_told(finished):
    out, results = finished
    [cells] = results["seeds"]
    assert set(cells) == {FRONT, "10", "30"}
    for name, cell in cells.items():
        assert (
            cell["evaluations"]
            == RunDirectory.open(out / "runs" / f"{name}-0").latest(pytest.fail).state.evaluations
        )
        assert tuple(cell["best"]) in {tuple(point) for point in cell["front"]} or cell["best"] == [0.0, 0.0]
        assert all(drop <= 30 for drop, _ in cell["front"])
    assert cells[FRONT]["evaluations"] >= 2 * 20
    assert json.loads((out / "results.json").read_text()) == results
    page = (out / "tables.md").read_text()
    assert page == tables(results)
    assert f"{cells['10']['best'][1]:.2f}" in page
    assert (out / "fronts.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_it_goes_on_where_it_was_stopped(finished, options, tmp_path, monkeypatch):
    start, started = budgeted_run.start_search, []

    def interrupted(folder, *arguments, **others):
        if len(started) == 1:
            raise KeyboardInterrupt
        started.append(folder.name)
        return start(folder, *arguments, **others)

    with monkeypatch.context() as patch:
        patch.setattr(budgeted_run, "start_search", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_fronts(tmp_path / "out", options)
    assert started == ["front-0"]

    def new(folder, *arguments, **others):
        assert folder.name != "front-0", "its search was complete"
        return start(folder, *arguments, **others)

    monkeypatch.setattr(budgeted_run, "start_search", new)
    assert run_fronts(tmp_path / "out", options) == finished[1]
    with pytest.raises(RunError, match="holds another experiment"):
        run_fronts(tmp_path / "out", FrontOptions(options.model, options.data, evaluations=21))


def test_hypervolume_by_hand():
    assert hypervolume([(1, 50)], 2) == pytest.approx(0.5 * 0.5)
    assert hypervolume([(1, 50), (0, 20)], 2) == pytest.approx(0.5 * 0.5 + 0.5 * 0.2)
    # More accurate than the original counts as accurate as that; what is beyond the limit counts nothing.
    assert hypervolume([(-1, 20), (3, 90)], 2) == pytest.approx(0.2)
    assert hypervolume([], 2) == 0


@given(st.lists(st.tuples(percents, percents), max_size=12), st.tuples(percents, percents))
def test_more_points_never_dominate_less(points, another):
    before, after = hypervolume(points, 50), hypervolume([*points, another], 50)
    assert before - 1e-12 <= after <= 1 + 1e-12
    # A grid counts the same share.
    grid = (np.arange(100) + 0.5) / 2
    steps = np.array([largest_within(points, threshold) for threshold in grid]) / 100
    assert before == pytest.approx(steps.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"thresholds": ()}, "`thresholds`"),
        ({"thresholds": (0.0, 1.0)}, "`thresholds`"),
        ({"seeds": 0}, "`seeds` must be 1 or more"),
        ({"evaluations": 0}, "`evaluations` must be 1 or more"),
    ],
)
def test_impossible_options_are_named(values, sentence):
    with pytest.raises(OptionError, match=sentence):
        FrontOptions("m", DataOptions("digits"), **values)


@pytest.mark.slow
def test_the_quick_comparison_runs_on_digits_and_goes_on(tmp_path):
    arguments = [str(tmp_path / "out"), "--quick"]
    first = CliRunner().invoke(study, arguments)
    assert first.exit_code == 0, first.output
    assert "| front" in first.stdout
    assert CliRunner().invoke(study, arguments).stdout == first.stdout
    assert CliRunner().invoke(study, [str(tmp_path / "other")]).exit_code == 2
