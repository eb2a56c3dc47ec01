"""``evoprune baseline --ratios``: equal shares of every layer, with and without a refit."""

import json

import numpy as np

from experiments.baselines.method_comparison import compare_baselines
from experiments.baselines.options import BaselineOptions
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.measurement.measuring import measure
from experiments.runs.scoring import score_masks
from models import model_directory
from models.compensation.aims import RefitAims
from models.compensation.refit import refitted
from models.cost import masked_cost
from models.model_directory import Model
from models.pruning import prune


def test_rankings_at_ratios_of_every_layer(tmp_path, tiny_directory, tiny_data, tiny_model, tiny_genome):
    data, out = DataOptions(f"npz:{tiny_data}"), tmp_path / "out"
    chosen = {"compensate": "mean", "compensation_images": 30}
    options = BaselineOptions(data, "magnitude,random", threshold=20.0, ratios=(10.0, 37.5, 99.0), **chosen)
    found = compare_baselines(tiny_directory, options, out=out)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in found["table"].splitlines()]
    assert rows[0] == ["accuracy", "original", "10%", "37.5%", "99%"]
    cells = {row[0]: row[1:] for row in rows[2:]}
    assert list(cells) == [
        "magnitude, compensated by mean",
        "random, compensated by mean",
        "parameter drop",
        "MAC drop",
    ]
    for name, entry in found["methods"].items():
        masks = np.load(out / "masks" / f"{name}.npy")
        # Of 4, 6 and 8 filters, rounded down.
        assert tiny_genome.layout.kept(masks).tolist() == [[4, 6, 8], [3, 4, 5], [1, 1, 1]]
        counts = score_masks(tiny_directory, out / "masks" / f"{name}.npy", data, **chosen).correct
        counts = [found["original_correct"], *counts]
        assert [point["correct"] for point in entry["curve"]] == counts
        assert cells[f"{name}, compensated by mean"] == [f"{100 * count / 40:.2f}%" for count in counts]
        cost = masked_cost(tiny_model.network, tiny_genome.layout.split(masks), 3)
        whole = masked_cost(tiny_model.network, {}, 1)
        for kind, row in (("parameters", "parameter drop"), ("macs", "MAC drop")):
            drops = 100 * (1 - getattr(cost, kind) / getattr(whole, kind)[0])
            assert cells[row] == ["0.00%", *(f"{drop:.2f}%" for drop in drops)]
        within = [point["parameter_drop"] for point in entry["curve"] if point["accuracy_drop"] < 20]
        assert entry["parameter_drop_within_threshold"] == max(within)
    assert json.loads((out / "baseline.json").read_text())["ratios"] == [10, 37.5, 99]
    assert "10%; 37.5%; 99% of the filters of every layer leave" in (out / "baseline.md").read_text()


def test_ratios_with_a_refit_count_the_refitted_networks(tmp_path, tiny_directory, tiny_data, tiny_genome):
    data, out = DataOptions(f"npz:{tiny_data}"), tmp_path / "out"
    options = BaselineOptions(data, "magnitude", ratios=(25.0, 50.0), refit_images=40)
    found = compare_baselines(tiny_directory, options, out=out)
    assert "magnitude, refitted to 40 images" in found["table"]
    model = model_directory.load(tiny_directory)
    images = load_images(data, model)
    counts = [found["original_correct"]]
    for mask in np.load(out / "masks" / "magnitude.npy"):
        keeps = tiny_genome.layout.split(mask)
        fitted = refitted(RefitAims(model.network, model.normalisation, images.images), model.network, keeps)
        counts.append(measure(Model(prune(fitted, keeps), model.normalisation, model.classes), images).correct)
    assert [point["correct"] for point in found["methods"]["magnitude"]["curve"]] == counts
