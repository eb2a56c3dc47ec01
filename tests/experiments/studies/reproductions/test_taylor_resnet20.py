"""Almarashi's experiment (ResNet-20, Taylor scores) on digits."""

import json
import math
from dataclasses import replace

import pytest

from engine.errors import RunError
from experiments.progress import Silent
from experiments.studies.reproductions import taylor_resnet20
from experiments.studies.reproductions.taylor_resnet20 import QUICK, run
from models import model_directory
from models.cost import network_cost

TINY = replace(QUICK, epochs=6, network="convnet", step=7, cycle_images=64, width=1.0)
TIMED = {"seconds": 0.002, "images_per_second": 500.0, "compile_seconds": 0.1}
SPEED = {
    "hardware": {"processor": "any"},
    "mac_ratio": 0.75,
    "timings": [
        {
            "runtime": "JAX", "batch": 1, "base": TIMED, "pruned": TIMED,
            "time_ratio": 1.0, "spread": [0.9, 1.1], "saved_share": 0.0,
        }
    ],
}  # fmt: skip
"""What a measurement of speed returns; :mod:`tests.experiments.benchmarks` has one that is made."""


@pytest.mark.slow
@pytest.mark.parametrize("plan", [TINY, QUICK], ids=["tiny", "quick"])
def test_on_digits(tmp_path, monkeypatch, plan):
    if plan == TINY:
        monkeypatch.setattr(taylor_resnet20, "compare_speed", lambda *_, **__: SPEED)
    result = run(tmp_path / "out", plan=plan, data_dir=None, reporter=Silent())
    before, after = result["filters"]
    assert after == before - math.ceil(0.25 * before)
    model = model_directory.load(tmp_path / "out" / "cycles" / "model")
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
    assert run(tmp_path / "out", plan=plan, data_dir=None, reporter=Silent()) == result
    base = tmp_path / "out" / "models" / "base" / str(plan.epochs)
    if plan == TINY:
        # The same network, given: nothing is trained but the fine-tuning, and the result is the same.
        given = run(tmp_path / "given", plan=plan, data_dir=None, reporter=Silent(), model=base)
        assert {**given, "page": None} == {**result, "page": None}
        assert "not trained here" in (tmp_path / "given" / "page.md").read_text()
        with pytest.raises(RunError, match="other options"):
            run(tmp_path / "given", plan=plan, data_dir=None, reporter=Silent())
