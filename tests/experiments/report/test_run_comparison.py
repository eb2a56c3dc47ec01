"""Several runs on one page: their figures, what differs, and what cannot be compared."""

import json

import pytest

from engine.run.directory import RunDirectory
from experiments.cli import main
from experiments.report.run_comparison import compare_runs
from tests.experiments.report.test_run_page import self_contained


def test_the_page_and_json_tell_of_both_runs(runs, tmp_path, capsys):
    arguments = ["report", str(runs / "a"), str(runs / "b"), "--out", str(tmp_path / "out"), "--json"]
    assert main.run(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == result
    page = self_contained((tmp_path / "out" / "comparison.html").read_text())
    assert len(page.all("img")) == len(result["figures"]) == 3
    assert result["left_out"] == []
    assert result["differences"] == {"mutation": [0.05, 0.1], "images": [None, 30]}
    assert page.table("A")[0] == ["", "A", "B"]
    rows = {row[0]: row[1:] for row in page.table("A")}
    for number, (name, images) in enumerate((("a", 40), ("b", 30))):
        run, entry = RunDirectory.open(runs / name), result["runs"][number]
        last = run.journal()[-1]
        assert entry["evaluations"] == last["evaluations"]
        assert entry["budget"] == images * last["evaluations"]
        assert entry["seconds"] == pytest.approx(sum(row["seconds"] for row in run.timings()), abs=0.01)
        assert {key: entry["best"][key] for key in last["best"]} == last["best"]
        assert rows["parameters dropped"][number] == f"{last['best']['parameter_drop']:.2f}%"
        assert rows["budget, evaluations x images"][number] == f"{entry['budget']:,}"
    for name in ("a", "b"):
        assert not (runs / name / "report").exists()


def test_what_is_missing_is_named_and_the_rest_compared(runs, tmp_path, undrawn):
    run = RunDirectory.open(runs / "b")
    description = run.description()
    older = {key: value for key, value in description.items() if key != "images"}
    older["configuration"] = {**description["configuration"], "model": str(tmp_path / "nowhere")}
    older["configuration"]["data"] = {**description["configuration"]["data"], "images": None}
    run.write_description(older)
    try:
        result = compare_runs([runs / "a", runs / "b"], tmp_path / "out")
    finally:
        run.write_description(description)
    assert result["runs"][1]["budget"] is None
    assert len(result["left_out"]) == 2
    assert result["left_out"][0].startswith("The trade-off of run B is left out: ")
    assert result["left_out"][1].startswith("The budget of run B is left out: ")
    page = self_contained((tmp_path / "out" / "comparison.html").read_text())
    for sentence in result["left_out"]:
        assert sentence in page.text


def test_what_is_refused(runs, tmp_path, capsys):
    a, b, out = str(runs / "a"), str(runs / "b"), str(tmp_path / "out")
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "mine").write_text("kept")
    for arguments, part in (
        ([a, b], "--out is missing"),
        ([a, "--out", out], "--out is for comparing several runs"),
        ([a, b, "--out", str(occupied)], "exists already and is left untouched"),
        ([a, b, "--out", out, "--data-dir", "x"], "--data-dir has no effect"),
        ([a, str(tmp_path / "none"), "--out", out], "holds no run"),
        ([a] * 27 + ["--out", out], "a comparison takes 2 to 26 runs"),
    ):
        assert main.run(["report", *arguments]) == 2
        *_, line = capsys.readouterr().err.strip().splitlines()
        assert part in line
    journal = runs / "b" / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_text('{"generation": 0, "best": {"parameter_drop": "much"}}\n')
    try:
        assert main.run(["report", a, b, "--out", out]) == 2
    finally:
        journal.write_bytes(whole)
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert "is damaged: a row lacks figures" in line
    assert [path.name for path in occupied.iterdir()] == ["mine"]
    assert not (tmp_path / "out").exists()
