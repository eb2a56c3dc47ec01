"""Searches that end when they get no further."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError, RunError
from engine.run.directory import RunDirectory
from experiments.report.run import make_report
from experiments.runs.patience import LEAST, Patience
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import read_status
from tests.support import runs

SETTINGS = replace(runs.SETTINGS, initial_removal=0.3, seed=9)
LAST = 60


def options_for(directory, data, **changes):
    return runs.options_for(directory, data, **{"generations": LAST, "settings": SETTINGS, **changes})


@pytest.fixture(scope="module", params=[None, "accuracy,parameters"])
def ended(request, tmp_path_factory, tiny_directory, tiny_data):
    options = options_for(tiny_directory, tiny_data, objectives=request.param, patience=6)
    run = tmp_path_factory.mktemp("patience") / "run"
    return options, run, start_search(run, options)


def values_of(row):
    return [row["best"]["score"], *([row["front"]["hypervolume"]] if "front" in row else [])]


def test_a_search_ends_in_the_first_generation_without_progress_for_so_long(ended):
    _, run, result = ended
    rows = [values_of(row) for row in RunDirectory.open(run).journal()]
    last = result.generation
    assert (len(rows), result.complete, result.out_of_patience) == (last + 1, True, True)
    assert 6 <= last < LAST
    # Nothing of the last six is worth mentioning, and something of any six before them is.
    for column in zip(*rows, strict=True):
        assert max(column[-6:]) <= column[-7] * (1 + LEAST)
    for start in range(last - 6):
        assert any(max(column[start + 1 : start + 7]) > column[start] for column in zip(*rows, strict=True))
    assert read_status(run).to_json() == runs.progress_of(result)


def test_it_is_the_beginning_of_the_search_that_goes_on(ended, tmp_path):
    options, run, result = ended
    whole = tmp_path / "whole"
    start_search(whole, replace(options, patience=0, generations=result.generation + 4))
    rows = RunDirectory.open(whole).journal()
    assert RunDirectory.open(run).journal() == rows[:-4]
    # Stopped and resumed, it ends where it would have.
    parts = tmp_path / "parts"
    start_search(parts, replace(options, generations=3))
    assert not read_status(parts).out_of_patience
    assert resume_search(parts, generations=LAST) == result
    # Once more finds it ended; without patience it goes on.
    assert resume_search(parts) == result
    assert RunDirectory.open(parts).journal() == rows[:-4]
    resume_search(parts, generations=result.generation + 4, patience=0)
    assert RunDirectory.open(parts).journal() == rows


def test_its_report_says_so(ended):
    assert "6 generations had brought no progress" in " ".join(make_report(ended[1])["findings"])


@given(st.lists(st.floats(-5, 100, allow_nan=False), min_size=1, max_size=30), st.integers(0, 8))
def test_patience_by_its_definition(values, generations):
    rows = [{"generation": number, "best": {"score": score}} for number, score in enumerate(values)]
    best, since = values[0], 0
    for number, score in enumerate(values):
        if score - best > LEAST * abs(best):
            best, since = score, number
    assert Patience(generations, rows).exhausted == (0 < generations <= len(values) - 1 - since)


def test_a_front_waits_for_best_too():
    rows = [
        {"generation": number, "best": {"score": score}, "front": {"hypervolume": volume}}
        for number, (score, volume) in enumerate(
            [(0, 0.5), (10, 0.5), (20, 0.5), (20, 0.6), (20, 0.6), (20, 0.6)]
        )
    ]
    assert [Patience(2, rows[:count]).exhausted for count in range(1, 7)] == [False] * 5 + [True]


def test_what_is_no_patience_is_refused(tiny_directory, tiny_data, ended, tmp_path):
    with pytest.raises(OptionError, match="`patience` must be 1 or more"):
        options_for(tiny_directory, tiny_data, patience=-1)
    description = RunDirectory.open(ended[1]).description()
    damaged = {**description, "configuration": {**description["configuration"], "patience": "much"}}
    copy = RunDirectory.create(tmp_path / "copy", damaged)
    for name in ("journal.jsonl",):
        copy.store.write(name, (ended[1] / name).read_bytes())
    newest = max((ended[1] / "checkpoints").iterdir())
    copy.store.write(f"checkpoints/{newest.name}", newest.read_bytes())
    with pytest.raises(RunError, match=r"is damaged .*patience"):
        read_status(copy.location)
