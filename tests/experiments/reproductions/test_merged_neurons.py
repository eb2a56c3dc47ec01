"""The experiment of seed 002 on digits."""

import numpy as np
import pytest

from experiments.measuring import measure
from experiments.progress import Silent
from experiments.reproductions import run_reproduction
from experiments.reproductions.merged_neurons import LAYER, QUICK, UNITS
from experiments.reproductions.merged_neurons_data import read_splits
from experiments.reproductions.merged_neurons_page import flat_to
from models import store
from models.pruning import prune
from models.store import Model


def test_flat_until_the_first_fall():
    assert flat_to([0.5, 0.49, 0.46, 0.44, 0.5]) == 2
    assert flat_to([0.5, 0.6, 0.45]) == 2
    assert flat_to([0.5, 0.4]) == 0


@pytest.mark.slow
def test_quick(tmp_path):
    result = run_reproduction("merged-neurons", tmp_path / "out", quick=True, reporter=Silent())
    test = result["test_accuracy_by_units_pruned"]
    assert {len(series) for series in test.values()} == {QUICK.prunings + 1}
    # Merging what is most similar costs less than taking the same number away and doing nothing about it.
    start = result["baseline"]["test"]
    assert abs(test["merged-as-it-is"]["8"] - start) <= abs(test["removed-as-it-is"]["8"] - start) + 0.05

    # The masked network is the pruned one.
    model = store.load(tmp_path / "out" / "models" / "merged-retrained" / str(QUICK.prunings))
    row = model.notes["row"]
    keep = np.ones(UNITS, bool)
    keep[row["gone"]] = False
    assert keep.sum() == UNITS - QUICK.prunings
    pruned = Model(prune(model.network, {LAYER: keep}), model.normalisation, model.classes)
    assert measure(pruned, read_splits(True, None)["test"])["accuracy"] == pytest.approx(row["test"])
    assert test["merged-retrained"][str(QUICK.prunings)] == row["test"]

    page = (tmp_path / "out" / "page.md").read_text()
    assert "about 50 of 84" in page
    for name in ("figure2.png", "figure3.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000
        assert f"({name})" in page
    assert run_reproduction("merged-neurons", tmp_path / "out", quick=True, reporter=Silent()) == result
