"""Asaraf Ali's experiment (LeNet-5, units merged by cosine similarity) on digits."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.measurement.measuring import measure
from experiments.progress import Silent
from experiments.studies.reproductions.merged_neurons import LAYER, QUICK, UNITS, run
from experiments.studies.reproductions.merged_neurons_data import read_splits
from experiments.studies.reproductions.merged_neurons_page import flat_to
from models import model_directory
from models.model_directory import Model
from models.pruning import prune

TINY = replace(QUICK, epochs=2, chunk=1, prunings=2)


def test_flat_until_the_first_fall():
    assert flat_to([0.5, 0.49, 0.46, 0.44, 0.5]) == 2
    assert flat_to([0.5, 0.6, 0.45]) == 2
    assert flat_to([0.5, 0.4]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("plan", [TINY, QUICK], ids=["tiny", "quick"])
def test_on_digits(tmp_path, plan):
    result = run(tmp_path / "out", plan=plan, data_dir=None, reporter=Silent())
    test = result["test_accuracy_by_units_pruned"]
    assert {len(series) for series in test.values()} == {plan.prunings + 1}
    # Merging what is most similar costs less than taking the same number away and doing nothing about it.
    start = result["baseline"]["test"]
    merged, removed = (test[f"{rule}-as-it-is"][str(plan.prunings)] for rule in ("merged", "removed"))
    assert abs(merged - start) <= abs(removed - start) + 0.05

    # The masked network is the pruned one.
    model = model_directory.load(tmp_path / "out" / "models" / "merged-retrained" / str(plan.prunings))
    row = model.notes["row"]
    keep = np.ones(UNITS, bool)
    keep[row["gone"]] = False
    assert keep.sum() == UNITS - plan.prunings
    pruned = Model(prune(model.network, {LAYER: keep}), model.normalisation, model.classes)
    assert measure(pruned, read_splits(True, None)["test"]).accuracy == pytest.approx(row["test"])
    assert test["merged-retrained"][str(plan.prunings)] == row["test"]

    page = (tmp_path / "out" / "page.md").read_text()
    assert "about 50 of 84" in page
    for name in ("figure2.png", "figure3.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000
        assert f"({name})" in page
    assert run(tmp_path / "out", plan=plan, data_dir=None, reporter=Silent()) == result
