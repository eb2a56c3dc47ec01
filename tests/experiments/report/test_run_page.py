"""The HTML page of a run: what it must hold, its numbers, and that it needs nothing from elsewhere."""

import base64
import json
import re
import shlex
from dataclasses import replace

import fsspec
import numpy as np
import pytest

from engine.errors import RunError
from engine.run.directory import RunDirectory
from engine.stores.locations import open_store
from experiments.cli import main
from experiments.data.options import DataOptions
from experiments.progress import Silent
from experiments.report.figures.of_run import figures_of_run
from experiments.report.html.repeating import search_command
from experiments.report.html.run_page import MOST_CLASSES, run_page
from experiments.report.html.run_settings import _initial_population, _mutation
from experiments.report.reported_run import ReportedRun
from experiments.report.results.trade_off import TradeOff
from experiments.report.run import make_report
from experiments.runs.options import SearchOptions
from experiments.runs.presets import PRESETS
from experiments.runs.search import start_search
from fitness.genome import Genome
from models import model_directory
from models.pruning import prune
from tests.experiments.report.conftest import SETTINGS, options_for
from tests.support.html_page import Page
from tests.support.named_model import folder
from tests.support.runs import Listening


def self_contained(text):
    """Nothing is fetched and nothing is run."""
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "link", "object", "embed")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("data:image/svg+xml;base64,", "#")), value
    assert "url(" not in text
    assert "@import" not in text
    for image in page.all("img"):
        assert len(image["alt"]) > 20
        svg = base64.b64decode(image["src"].partition(",")[2]).decode()
        assert svg.startswith("<svg")
        assert "prefers-color-scheme:dark" in svg
        outward = re.findall(r'(?:href|src)="([^"]*)"', svg)
        assert all(target.startswith(("#", "data:")) for target in outward)
    for picture in page.all("svg"):
        assert picture["aria-label"]
    return page


def test_the_page_needs_nothing_and_every_image_says_what_it_shows(reported):
    _, _, text = reported
    page = self_contained(text)
    assert len(page.all("img")) == 6
    assert len(page.all("h1")) == 1
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {link["href"][1:] for link in page.all("a")} <= ids
    assert {"network", "trade-off", "generations", "classes", "speed", "configuration"} <= ids


def test_best_has_one_colour_in_page_and_figures(reported):
    _, _, text = reported
    drawn = "".join(base64.b64decode(image["src"].partition(",")[2]).decode() for image in Page(text).all("img"))
    light, dark = re.findall(r"--blue: (#\w+);", text)
    [name] = set(re.findall(rf"(--c\d+):{light.lower()};", drawn.split("@media")[0]))
    assert f"{name}:{dark};" in drawn.split("@media")[1]


def test_the_numbers_are_those_of_json(reported):
    run, report, text = reported
    page = Page(text)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    measured = report["measurements"]
    table = {row[0]: row[1:] for row in page.table("original")}
    for name, key in (("parameters", "parameters"), ("MACs", "macs")):
        values = measured[key]
        assert table[name] == [f"{values['base']:,}", f"{values['pruned']:,}", f"{values['drop_percent']:.2f}%"]
    accuracy = measured["accuracy_percent"]
    shown = [f"{accuracy[key]:.2f}%".replace("-", "\N{MINUS SIGN}") for key in ("base", "pruned", "drop_percent")]
    assert table[f"test accuracy ({measured['images']} images)"] == shown
    best = RunDirectory.open(run).journal()[-1]["best"]
    assert measured["parameters"]["pruned"] == best["parameters"]
    assert report["command"] in page.text.replace(" \\ ", " \\\n  ")
    for sentence in report["findings"]:
        assert sentence in page.text
    for layer in report["layers"]:
        told = f"{layer['name']}: {layer['kept']} of {layer['filters']}"
        assert told in page.all("svg")[0]["aria-label"]
    for name, value in report["settings"].items():
        assert [name, " ".join(value.split())] in page.table("generations")


def test_results_by_class_add_up_to_the_counts(reported, tiny_directory):
    _, report, text = reported
    classes, counts = report["classes"], report["measurements"]["correct"]
    assert np.trace(classes["original_confusion"]) == counts["base"]
    assert np.trace(classes["confusion"]) == counts["pruned"]
    assert np.sum(classes["confusion"]) == report["measurements"]["images"] == 10
    assert [entry["name"] for entry in classes["classes"]] == list(model_directory.load(tiny_directory).classes)
    for row, entry in zip(classes["confusion"], classes["classes"], strict=True):
        assert sum(row) == entry["images"]
    first = classes["classes"][0]
    row = next(row for row in Page(text).table("before") if row[0] == first["name"])
    assert row[1:4] == [str(first["images"]), f"{first['original_accuracy']:.2f}%", f"{first['accuracy']:.2f}%"]


def test_the_trade_off_is_that_of_the_archive(reported, tiny_directory):
    run, report, _ = reported
    state = RunDirectory.open(run).latest(pytest.fail).state
    genome = Genome.of(model_directory.load(tiny_directory).network)
    packed, correct = state.archive.to_arrays()
    counted = correct >= 0
    drops = []
    for mask, count in zip(genome.layout.unpack(packed[counted]), correct[counted], strict=True):
        smaller = prune(genome.network, genome.layout.split(mask))
        parameters = sum(np.size(a) for stage in smaller.stages for a in _trained(stage))
        original = sum(np.size(a) for stage in genome.network.stages for a in _trained(stage))
        drops.append((100 * (1 - parameters / original), 100 * (1 - count / state.original_correct)))
    found = report["trade_off"]
    assert found["masks"] == len(drops)
    assert found["stopped"] == int((~counted).sum())
    assert found["within_threshold"] == sum(accuracy < 20 for _, accuracy in drops)
    unsurpassed = [
        one
        for one in set(drops)
        if not any(o != one and o[0] >= one[0] - 1e-9 and o[1] <= one[1] + 1e-9 for o in set(drops))
    ]
    front = [(point["parameter_drop"], point["accuracy_drop"]) for point in found["front"]]
    np.testing.assert_allclose(front, sorted(unsurpassed))


def _trained(stage):
    from models.arrays import stage_arrays

    arrays = stage_arrays(stage)
    return [arrays[path] for path, spec in stage.specs().items() if spec.trained]


def test_what_each_layer_saves_adds_up(reported):
    _, report, _ = reported
    for key in ("parameters", "macs"):
        assert sum(stage[key] for stage in report["stages"]) == report["measurements"][key]["pruned"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"settings": replace(SETTINGS, stop_early=False, islands=3, migrate_every=2, migrants=1)},
        {"settings": replace(SETTINGS, race=0.05, mutation=1.5e-05), "batch_size": 7, "weight": 0.25},
        {"generations": 0, "prune": "all", "precision": "bfloat16", "threshold": 2},
    ],
)
def test_the_command_repeats_the_search(monkeypatch, changes):
    options = options_for("a model's directory", "some data/x.npz", **changes)
    options = replace(options, data=replace(options.data, images=30, data_dir="elsewhere"))
    given = []

    def take(run, chosen, *_, **__):
        given.append(chosen)
        raise RunError("taken.")

    monkeypatch.setattr("experiments.runs.search.start_search", take)
    words = shlex.split(search_command(options).replace("\\\n", ""))
    assert words[:3] == ["evoprune", "search", "again"]
    assert main.run(words[1:]) == 2
    assert given == [options]


def test_the_command_names_the_code_of_a_network_of_ones_own(monkeypatch):
    options, given, named = options_for("mine", "x.npz"), [], []

    def take(run, chosen, *_, **__):
        given.append(chosen)
        raise RunError("taken.")

    monkeypatch.setattr("experiments.runs.search.start_search", take)
    monkeypatch.setattr("models.tracing.factories.load", named.append)
    words = shlex.split(search_command(options, "my_network:network").replace("\\\n", ""))
    assert main.run(words[1:]) == 2
    assert (given, named) == ([options], ["my_network:network"])
    assert "--model-class" not in search_command(options)


def test_what_comes_from_files_is_escaped(tiny_directory, tiny_data, tmp_path, undrawn):
    evil = '<script>alert("1")</script>'
    model = model_directory.load(tiny_directory)
    model.classes = (evil, "b&amp;", "c")
    model_directory.save(tmp_path / "<b>model", model)
    run = tmp_path / "run<i>"
    start_search(run, options_for(tmp_path / "<b>model", tiny_data, generations=1))
    description = RunDirectory.open(run).description()
    description["versions"][evil] = evil
    RunDirectory.open(run).write_description(description)
    report = make_report(run)
    page = self_contained((run / "report" / "report.html").read_text())
    assert report["classes"]["classes"][0]["name"] == evil
    assert evil in page.text
    assert "b&amp;" in page.text


def test_without_the_data_the_rest_is_there(tiny_directory, tiny_data, tmp_path, undrawn):
    data = tmp_path / "moved.npz"
    data.write_bytes(tiny_data.read_bytes())
    run = tmp_path / "run"
    start_search(run, options_for(tiny_directory, data, generations=1))
    data.unlink()
    report = make_report(run)
    assert report["classes"] is None
    assert report["measurements"]["accuracy_percent"]["base"] is not None
    [sentence] = report["left_out"]
    assert sentence.startswith("Accuracy by class is left out: ")
    (run / "held_out.json").unlink()
    assert make_report(run)["measurements"]["accuracy_percent"]["base"] is None
    page = self_contained((run / "report" / "report.html").read_text())
    assert "Accuracy by class is left out" in page.text
    assert "Which class was taken for which" not in page.text


def test_islands_have_a_figure(tiny_directory, tiny_data, tmp_path, undrawn):
    settings = replace(SETTINGS, islands=2, migrate_every=2, migrants=1)
    start_search(tmp_path / "run", options_for(tiny_directory, tiny_data, settings=settings, generations=2))
    make_report(tmp_path / "run")
    page = self_contained((tmp_path / "run" / "report" / "report.html").read_text())
    assert "Highest score on each island" in page.text
    assert any("2 islands" in image["alt"] for image in page.all("img"))


def test_at_a_url_and_with_a_damaged_journal(tiny_directory, tiny_data, capsys, undrawn):
    url = "memory://run-page/run"
    try:
        start_search(url, options_for(tiny_directory, tiny_data, generations=1))
        report = make_report(url)
        assert report["page"] == f"{url}/report/report.html"
        place = open_store(url)
        page = self_contained(place.read("report/report.html").decode())
        assert url in page.text
        for row in ({"best": {}}, {"best": {"accuracy_drop": 1.0}, "population": 3}):
            place.write("journal.jsonl", json.dumps({"generation": 0, **row}).encode() + b"\n")
            with pytest.raises(RunError, match=r"journal\.jsonl is damaged"):
                make_report(url)
        place.write("journal.jsonl", b"[\n{}\n")
        capsys.readouterr()
        assert main.run(["report", url]) == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert "line 1 of memory://run-page/run/journal.jsonl is damaged" in line
    finally:
        fsspec.filesystem("memory").rm("/run-page", recursive=True)


def test_many_classes_are_shown_by_what_changed(reported, undrawn):
    run, report, _ = reported
    count = MOST_CLASSES + 5
    entries = [
        {"name": f"class {i}", "images": 4, "original_accuracy": 100.0, "accuracy": 100.0 - 25 * (i == 22)}
        for i in range(count)
    ]
    before = 4 * np.eye(count, dtype=int)
    after = before.copy()
    after[22, [22, 3]] = 3, 1
    many = {
        **report,
        "classes": {"classes": entries, "original_confusion": before.tolist(), "confusion": after.tolist()},
    }
    source = ReportedRun.open(run, None, None, Silent())
    figures = figures_of_run(source, TradeOff.of(source.state, source.problem.genome), report["layers"])
    page = self_contained(run_page(many, figures, source.rows, (8, 8, 2), count))
    table = page.table("before")
    assert len(table) == 1 + MOST_CLASSES
    assert table[1][0] == "class 22"
    assert page.table("answered")[1:] == [["class 22", "class 3", "0", "1"]]


def test_the_settings_say_how_a_search_by_default_begins_and_changes():
    options = SearchOptions.of_values("m", DataOptions("digits"), PRESETS["quality"], threshold=3.0)
    assert _initial_population(options) == (
        "40 by taylor-squared, reconstruction, globally and by layer, of each layer 0% or 5% or 10% or 20% kept at "
        "least, below the largest removals within the threshold"
    )
    front = replace(options, objectives="accuracy,macs", front_limit=7.0)
    assert _initial_population(front).endswith("below the largest removals within an accuracy drop of 7%")
    paper = SearchOptions("m", DataOptions("digits"))
    assert _initial_population(paper) == "50, up to 2% removed"
    half = replace(paper, seed_with="taylor", compensate="linear")
    assert _initial_population(half) == (
        "25, up to 2% removed, and 25 by taylor, globally and by layer, up to 98% removed"
    )
    assert _mutation(replace(paper.settings, mutate="bits,budget")) == "bits, each with 0.0002, budget"


def test_what_is_told_of_the_images_is_on_the_page_too(named, tmp_path, undrawn):
    place, run = tmp_path / "data", tmp_path / "run"
    directory, images, answers = named
    for split, dark in (("train", 1), ("test", 20)):
        folder(place, (directory, images // dark, answers), split=split)
        (place / split / "ant" / "readme.txt").write_text("no image")
    options = replace(options_for(directory, "", generations=1), data=DataOptions(f"imagefolder:{place}"))
    listening = Listening()
    result = start_search(run, options, reporter=listening)
    dim = f"the brightest pixel of `data` imagefolder:{place} is "
    assert [warning.startswith(dim) for warning in result.facts.warnings] == [True]
    assert any(sentence.startswith(f"warning: {dim}") for sentence in listening.sentences)
    of_train, of_test = (
        f"`data` imagefolder:{place}, split {split}: left out, no image by name: ant/readme.txt."
        for split in ("train", "test")
    )
    assert result.facts.remarks == (of_train, of_test)
    told = [*result.facts.warnings, result.facts.matching, *result.facts.remarks]
    for report in (make_report(run), make_report(run)):
        assert report["remarks"] == list(result.facts.remarks)
        assert report["warnings"] == list(result.facts.warnings)
        html, markdown = ((run / "report" / name).read_text() for name in ("report.html", "report.md"))
        for sentence in told:
            assert any(sentence in finding for finding in report["findings"])
            assert sentence in Page(html).text
            assert sentence in markdown
