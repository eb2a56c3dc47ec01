"""The experiment of seed 000 on digits."""

import json

import pytest

from experiments.progress import Silent
from experiments.reproductions import run_reproduction
from models import store
from models.cost import network_cost


@pytest.mark.slow
def test_quick(tmp_path):
    result = run_reproduction("taylor-resnet20", tmp_path / "out", quick=True, reporter=Silent())
    before, after = result["filters"]
    assert (before, after) == (112, 84)
    model = store.load(tmp_path / "out" / "cycles" / "model")
    assert network_cost(model.network) == (result["parameters"][1], result["macs"][1])
    assert result["parameters"][1] < result["parameters"][0]

    thresholds = json.loads((tmp_path / "out" / "steps" / "thresholds.json").read_text())
    assert thresholds[0]["accuracy"] == pytest.approx(result["base_accuracy"])
    for key in ("share", "score"):
        values = [row[key] for row in thresholds[1:]]
        assert values == sorted(values)
    parameters = [row["parameters"] for row in thresholds]
    assert parameters == sorted(parameters, reverse=True)
    assert parameters[0] == result["parameters"][0]

    page = (tmp_path / "out" / "page.md").read_text()
    assert "88.1" in page
    for number in (2, 3, 4, 6):
        assert (tmp_path / "out" / f"figure{number}.png").stat().st_size > 5000
        assert f"(figure{number}.png)" in page
    assert run_reproduction("taylor-resnet20", tmp_path / "out", quick=True, reporter=Silent()) == result
