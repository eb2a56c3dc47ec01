"""``evoprune baseline``: its numbers are counted again from masks, and its figure shows these numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.baselines.method_comparison import compare_baselines
from experiments.baselines.options import BaselineOptions
from experiments.baselines.plots import baseline_figure
from experiments.cli import main
from experiments.data.options import DataOptions
from experiments.progress import Silent
from experiments.runs.scoring import score_masks
from experiments.runs.watching.status import read_status
from models import model_directory
from models.cost import masked_cost
from models.networks.chain import Chain
from tests.support.command_line import refused

DROPS = {"parameter_drop_within_threshold", "mac_drop_within_threshold", "accuracy_drop_within_threshold"}
POINT = {
    "removed_filters",
    "correct",
    "accuracy",
    "accuracy_drop",
    "parameter_drop",
    "mac_drop",
    "parameters",
    "macs",
}


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory, tiny_directory, tiny_data):
    run = tmp_path_factory.mktemp("runs") / "run"
    small = [
        "--population",
        "8",
        "--preset",
        "paper",
        "--parents",
        "4",
        "--mutation",
        "0.1",
        "--threshold",
        "20",
        "--generations",
        "4",
    ]
    assert (
        main.run(["search", str(run), "--model", str(tiny_directory), "--data", f"npz:{tiny_data}", *small]) == 0
    )
    return run


def arguments_for(directory, data, *more):
    return ["baseline", str(directory), "--data", f"npz:{data}", "--threshold", "20", *map(str, more)]


@pytest.fixture(scope="module")
def compared(tmp_path_factory, tiny_directory, tiny_data, run_directory):
    """The result with all that can be had, the directory that was written, and what was said."""
    out = tmp_path_factory.mktemp("compared") / "out"
    said = []

    class Listening(Silent):
        def message(self, text):
            said.append(text)

    options = BaselineOptions(DataOptions(f"npz:{tiny_data}"), threshold=20.0)
    return compare_baselines(tiny_directory, options, run=run_directory, out=out, reporter=Listening()), out, said


def test_the_schema(compared):
    result, out, said = compared
    methods = result["methods"]
    assert {"taylor", "magnitude", "cosine", "random", "random-search", "hill-climbing"} <= methods.keys()
    # Nothing was tracked while this network was made.
    assert list(result["left_out"]) == ["karnin"]
    assert any("karnin is left out" in text for text in said)
    for entry in methods.values():
        assert DROPS | {"removed_filters", "sha256", "evaluations", "curve"} == entry.keys()
        for point in entry["curve"]:
            assert point.keys() >= POINT
        assert entry["curve"][0]["correct"] == result["original_correct"]
        assert entry["accuracy_drop_within_threshold"] < 20
        removed = [point["removed_filters"] for point in entry["curve"]]
        drops = [point["parameter_drop"] for point in entry["curve"]]
        assert drops == sorted(drops)
        assert entry["parameter_drop_within_threshold"] in drops
        assert max(removed) <= 15
    assert result["total"] == 40
    assert result["run"]["within_threshold"] is True
    assert json.loads((out / "baseline.json").read_text())["methods"] == methods


def test_every_drop_within_the_threshold_is_counted_again(
    compared, tiny_model, tiny_directory, tiny_data, tiny_genome
):
    result, out, _ = compared
    base = result["original_correct"]
    for name, entry in result["methods"].items():
        mask = np.load(out / "masks" / f"{name}.npy")
        scored = score_masks(tiny_directory, out / "masks" / f"{name}.npy", DataOptions(f"npz:{tiny_data}"))
        [correct] = scored.correct
        assert 100 * (base - correct) / base == entry["accuracy_drop_within_threshold"] < 20
        cost = masked_cost(tiny_model.network, tiny_genome.layout.split(mask[None]), 1)
        whole = masked_cost(tiny_model.network, {}, 1)
        for kind, drop in (("parameters", "parameter"), ("macs", "mac")):
            left, all_ = getattr(cost, kind)[0], getattr(whole, kind)[0]
            assert entry[f"{drop}_drop_within_threshold"] == 100.0 * (all_ - left) / all_
        assert (~mask).sum() == entry["removed_filters"]
        feasible = [p for p in entry["curve"] if p["accuracy_drop"] is not None and p["accuracy_drop"] < 20]
        assert entry["parameter_drop_within_threshold"] == max(point["parameter_drop"] for point in feasible)


def test_searches_spend_the_budget_of_the_run_and_best_is_that_of_the_run(compared, run_directory):
    result, _, _ = compared
    status = read_status(run_directory)
    for name in ("random-search", "hill-climbing"):
        assert result["methods"][name]["evaluations"] == status.evaluations
    for figure in ("parameter_drop", "mac_drop", "accuracy_drop", "correct", "sha256"):
        assert result["run"][figure] == status.best[figure]


def test_the_page_and_the_figure_show_every_method(compared):
    result, out, _ = compared
    assert [Path(name).name for name in result["files"]][-3:] == ["baseline.png", "baseline.json", "baseline.md"]
    assert (out / "baseline.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = (out / "baseline.md").read_text()
    assert result["table"] in page
    assert "](baseline.png)" in page
    figure = baseline_figure(result)
    for axes in figure.axes:
        # Besides the threshold and the star.
        lines = axes.lines[1:-1]
        assert len(lines) == len(result["methods"])
        # No two look alike in grey.
        assert len({(line.get_marker(), str(line.get_linestyle())) for line in lines}) == len(lines)
        for line, name in zip(lines, [label.split(" ")[0] for label in labels(lines)], strict=True):
            curve = result["methods"][name]["curve"]
            assert list(line.get_xdata()) == [point["parameter_drop"] for point in curve]
            assert list(line.get_ydata()) == [100 * point["accuracy"] for point in curve]
        assert list(axes.lines[-1].get_xdata()) == [result["run"]["parameter_drop"]]
        assert axes.lines[0].get_ydata()[0] == pytest.approx(100 * result["original_correct"] / 40 * 0.8)


def labels(lines):
    return [line.get_label() for line in lines]


def test_equal_seeds_give_equal_comparisons_and_methods_do_not_depend_on_company(
    capsys, tiny_directory, tiny_data, compared
):
    names = "random,hill-climbing"
    arguments = arguments_for(tiny_directory, tiny_data, "--methods", names, "--json")
    budget = str(compared[0]["methods"]["hill-climbing"]["evaluations"])
    capsys.readouterr()
    assert main.run([*arguments, "--budget", budget]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert list(alone["methods"]) == names.split(",")
    assert alone["methods"] == {name: compared[0]["methods"][name] for name in alone["methods"]}
    assert alone["files"] == []
    assert alone["run"] is None


def test_it_goes_on_where_it_was_stopped(monkeypatch, tmp_path, tiny_directory, tiny_data):
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    options = BaselineOptions(
        DataOptions(f"npz:{tiny_data}"), "random,magnitude,hill-climbing", threshold=20.0, budget=20
    )
    whole = compare_baselines(tiny_directory, options)
    tried = []

    class Interrupting(Silent):
        last = ""

        def message(self, text):
            if "evaluating masks" in text:
                tried.append(text.partition(":")[0])
                if tried[-1] == self.last:
                    raise KeyboardInterrupt

    listening = Interrupting()
    for listening.last in ("magnitude", "hill-climbing"):
        with pytest.raises(KeyboardInterrupt):
            compare_baselines(tiny_directory, options, out=out, reporter=listening)
    assert tried == ["random", "magnitude", "magnitude", "hill-climbing"]
    rankings = {"importance-random.json", "importance-magnitude.json"}
    assert {path.name for path in (partial / "steps").iterdir()} == {*rankings, "random.json", "magnitude.json"}
    assert not out.exists()
    # What is damaged, or of other options, is made again.
    random = partial / "steps" / "random.json"
    random.write_bytes(random.read_bytes()[:-9])
    tried.clear()
    listening.last = ""
    goes_on = compare_baselines(tiny_directory, options, out=out, reporter=listening)
    assert tried == ["random", "hill-climbing"]
    assert {**goes_on, "files": []} == whole
    assert not partial.exists()
    listening.last = "hill-climbing"
    with pytest.raises(KeyboardInterrupt):
        compare_baselines(tiny_directory, options, out=tmp_path / "other", reporter=listening)
    tried.clear()
    listening.last = ""
    changed = replace(options, floor=0.5)
    compare_baselines(tiny_directory, changed, out=tmp_path / "other", reporter=listening)
    assert tried == ["random", "magnitude", "hill-climbing"]


@pytest.mark.parametrize(
    ("directory", "method"), [("tiny_directory", "linear"), ("normed_directory", "recalibrate")]
)
def test_all_masks_are_compensated(request, tmp_path, tiny_data, directory, method):
    directory, data, out = request.getfixturevalue(directory), DataOptions(f"npz:{tiny_data}"), tmp_path / "out"
    chosen = {"compensate": method, "compensation_images": 30, "calibration_images": 10}
    plain = BaselineOptions(data, "random,random-search", threshold=20.0, budget=9, force=True)
    before = compare_baselines(directory, plain)
    found = compare_baselines(directory, replace(plain, **chosen), out=out)
    assert (before["compensation"], found["compensation"]) == ("none", method)
    assert before["original_correct"] == found["original_correct"]
    for name, entry in found["methods"].items():
        [correct] = score_masks(directory, out / "masks" / f"{name}.npy", data, **chosen).correct
        lost = 100 * (found["original_correct"] - correct) / found["original_correct"]
        assert lost == entry["accuracy_drop_within_threshold"]
        assert f"| {name}, compensated by {method} " in found["table"]
        assert f"| {name} " in before["table"]
    # The first rungs of a ladder are the same masks.
    uncompensated = {point["removed_filters"]: point["correct"] for point in before["methods"]["random"]["curve"]}
    assert any(
        uncompensated.get(point["removed_filters"], point["correct"]) != point["correct"]
        for point in found["methods"]["random"]["curve"]
    )
    assert f"compensated by {method}" in baseline_figure(found).get_suptitle()
    page = (out / "baseline.md").read_text()
    assert f"without retraining, compensated by {method}" in page
    assert f"| compensation | {method} " in " ".join(page.split())
    assert json.loads((out / "baseline.json").read_text())["compensation"] == method


@pytest.mark.parametrize(
    ("changes", "tried_again"),
    [({}, []), ({"compensate": "mean"}, ["random"]), ({"ratios": (50.0,)}, ["random"])],
)
def test_what_was_kept_is_of_the_same_compensation_and_ratios(
    tmp_path, tiny_directory, tiny_data, changes, tried_again
):
    options = BaselineOptions(
        DataOptions(f"npz:{tiny_data}"), "random,magnitude", threshold=20.0, compensate="linear"
    )
    tried = []

    class Interrupting(Silent):
        stops = True

        def message(self, text):
            if "evaluating masks" in text:
                tried.append(text.partition(":")[0])
                if self.stops and tried[-1] == "magnitude":
                    raise KeyboardInterrupt

    listening = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        compare_baselines(tiny_directory, options, out=tmp_path / "out", reporter=listening)
    listening.stops = False
    tried.clear()
    changed = replace(options, **changes)
    found = compare_baselines(tiny_directory, changed, out=tmp_path / "out", reporter=listening)
    assert tried == [*tried_again, "magnitude"]
    assert {**found, "files": []} == compare_baselines(tiny_directory, changed)


def test_layers_that_make_up_for_nothing_are_named(capsys, monkeypatch, tmp_path, tiny_directory, tiny_data):
    sentence = "not compensated: conv3, because its kernel has several uses"
    monkeypatch.setattr(Chain, "not_compensated", (sentence,), raising=False)
    arguments = arguments_for(tiny_directory, tiny_data, "--methods", "magnitude", "--out", tmp_path / "out")
    assert main.run([*arguments, "--compensate", "mean"]) == 0
    assert sentence in capsys.readouterr().out.splitlines()
    assert sentence in (tmp_path / "out" / "baseline.md").read_text()


def test_the_floor_and_equal_shares(capsys, tiny_directory, tiny_data):
    arguments = arguments_for(tiny_directory, tiny_data, "--methods", "magnitude", "--json")
    assert main.run([*arguments, "--floor", "0.5", "--scope", "layer"]) == 0
    curve = json.loads(capsys.readouterr().out)["methods"]["magnitude"]["curve"]
    assert curve[-1]["removed_filters"] == 9


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (["--methods", "tailor"], ["--methods 'tailor'", "taylor"]),
        (["--methods", "taylor,taylor"], ["--methods names taylor twice"]),
        (["--methods", ""], ["--methods ''"]),
        (["--methods", "random-search"], ["random-search needs --budget"]),
        (["--methods", "karnin"], ["--track-sensitivity"]),
        (["--budget", "0"], ["--budget must be 1 or more"]),
        (["--scope", "odd"], ["--scope", "global, layer"]),
        (["--floor", "2"], ["--floor"]),
        (["--threshold", "-1"], ["--threshold"]),
        (["--prune", "odd"], ["--prune"]),
        (["--images", "41"], ["--images 41"]),
        (["--importance-images", "41"], ["--importance-images 41"]),
        (["--split", "validation"], ["--split"]),
        (["--run", "nowhere"], ["nowhere holds no run"]),
        (["--ratios", "10,5"], ["--ratios must ascend between 0 and 100", "'10,5'"]),
        (["--ratios", "0,5"], ["--ratios must ascend between 0 and 100"]),
        (["--ratios", "100"], ["--ratios must ascend between 0 and 100"]),
        (["--ratios", "nan"], ["--ratios must ascend between 0 and 100"]),
        (["--ratios", "ten"], ["--ratios", "not a list of numbers"]),
        (["--ratios", "10", "--methods", "random-search"], ["random-search does not rank filters", "--ratios"]),
        (["--refit-images", "9"], ["--refit-images is for the masks of --ratios"]),
        (["--ratios", "10", "--refit-images", "0"], ["--refit-images must be 1 or more"]),
        (["--ratios", "10", "--scope", "layer"], ["--scope has no effect with --ratios"]),
        (["--ratios", "10", "--threshold", "5"], ["--threshold has no effect with --ratios"]),
        (["--threshold", "nan"], ["--threshold is an accuracy drop from 0 to 100 percent"]),
        (["--methods", "magnitude", "--budget", "5"], ["--budget has no effect without random-search or"]),
        (["--latency-batch", "5"], ["--latency-batch has no effect without --objective latency"]),
        (
            ["--methods", "random-search", "--budget", "5", "--importance-images", "5"],
            ["--importance-images has no effect without a ranking"],
        ),
        (["--ratios", "10", "--run", "nowhere"], ["--run", "leave one of the two out"]),
        (["--compensate", "odd"], ["--compensate must be one of none", "not 'odd'"]),
        (["--compensate", "recalibrate"], ["--compensate recalibrate", "has none", "give --compensate none"]),
        (["--compensate", "linear", "--compensation-images", "0"], ["--compensation-images must be 1 or more"]),
        (["--compensation-images", "9"], ["--compensation-images has no effect without --compensate"]),
        (["--compensate", "mean", "--calibration-images", "9"], ["--calibration-images has no effect"]),
        (["--unheard-of"], ["--unheard-of"]),
    ],
)
def test_bad_options(capsys, tmp_path, tiny_directory, tiny_data, changes, parts):
    arguments = [*arguments_for(tiny_directory, tiny_data, "--out", tmp_path / "out"), *changes]
    if "--ratios" in changes and changes[-2] != "--threshold":
        arguments.remove("--threshold")
        arguments.remove("20")
    capsys.readouterr()
    assert main.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    # Before it, what was being done.
    line = captured.err.strip().splitlines()[-1]
    assert line.startswith("evoprune: error: ")
    for part in parts:
        assert part in line
    assert not list(tmp_path.iterdir())


def test_without_a_choice_the_filters_are_those_of_the_run(capsys, tmp_path, tiny_directory, tiny_data):
    run = tmp_path / "run"
    small = ["--preset", "masks", "--prune", "all", "--threshold", "20", "--generations", "0"]
    data = ["--data", f"npz:{tiny_data}"]
    assert main.run(["search", str(run), "--model", str(tiny_directory), *data, *small]) == 0
    plain = arguments_for(tiny_directory, tiny_data, "--methods", "magnitude", "--json")
    found = []
    for more in ([], ["--run", run], ["--run", run, "--prune", "all"], ["--prune", "all"]):
        capsys.readouterr()
        assert main.run([*plain, *map(str, more)]) == 0
        found.append(json.loads(capsys.readouterr().out))
    removable = [result["methods"]["magnitude"]["curve"][-1]["removed_filters"] for result in found]
    # One of each layer stays: of 18 filters, or of these and 9 neurons.
    assert removable == [15, 23, 23, 23]
    assert found[1] == found[2]
    assert found[1]["run"]["sha256"] == read_status(run).best["sha256"]
    refused(capsys, [*plain, "--run", str(run), "--prune", "convolutions"], "other filters", "--prune")


def test_runs_that_do_not_fit(capsys, tmp_path, tiny_model, tiny_directory, tiny_data, run_directory):
    arguments = arguments_for(tiny_directory, tiny_data, "--run", run_directory)
    refused(capsys, [*arguments, "--prune", "all"], "other filters", "--prune")
    other = tmp_path / "other"
    network = tiny_model.network.architecture.build(99)
    model_directory.save(other, type(tiny_model)(network, tiny_model.normalisation, tiny_model.classes))
    refused(capsys, arguments_for(other, tiny_data, "--run", run_directory), "searched another model")


def test_nothing_is_overwritten(capsys, tmp_path, tiny_directory, tiny_data):
    (tmp_path / "kept.txt").write_text("mine")
    refused(capsys, arguments_for(tiny_directory, tiny_data, "--out", tmp_path), "exists already")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
