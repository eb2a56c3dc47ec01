"""Khanal's experiment (Karnin's sensitivity) on digits: the page is complete and its numbers agree."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.progress import Silent
from experiments.studies.reproductions.common.bases import loss_curve
from experiments.studies.reproductions.karnin_convnet import QUICK, run
from models import model_directory
from models.training.loop import Progress

TINY = replace(QUICK, images=100, draws=2)


def test_the_loss_between_two_reports():
    losses = [3.0, 2.0, 1.0, 5.0, 4.0, 2.0]

    def report(epoch, step):
        whole = losses[3 * epoch - 3 : 3 * epoch - 3 + step]
        return Progress(epoch, 2, step, 3, sum(whole) / step, 0.0, 0.0)

    curve = loss_curve([report(1, 2), report(1, 3), report(2, 2), report(2, 3)])
    assert curve == [(2, 2.5), (3, pytest.approx(1.0)), (5, 4.5), (6, pytest.approx(2.0))]


@pytest.mark.slow
@pytest.mark.parametrize("plan", [TINY, QUICK], ids=["tiny", "quick"])
def test_on_digits(tmp_path, plan):
    out = tmp_path / "out"
    result = run(out, plan=plan, data_dir=None, reporter=Silent())
    base = result["base_accuracy"]
    assert plan == TINY or base > 0.5
    assert result["threshold"] == 0.45
    found = result["at_largest_threshold"]
    for draw in ("random-0", "random-1"):
        np.testing.assert_allclose(found[draw]["removed"], [0.45 * 48_000, 0.45 * 10_080], rtol=0.03)
    assert [rows[0]["accuracy"] for rows in result["shares"].values()] == [base] * 3
    assert sum(result["shares"]["random"][5]["removed"]) == 58_080 // 2
    page = (out / "page.md").read_text()
    assert f"{100 * base:.2f}" in page
    assert page.count(".png") == 7
    # The rules of sensitivity leave the training as it is.
    networks = [model_directory.load(out / "models" / name) for name in ("base", "literal")]
    assert networks[0].digest() == networks[1].digest()
