"""Muppalla and Kumar's experiment on digits: the page is complete and its numbers agree."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.progress import Silent
from experiments.studies.reproductions.weight_and_neuron_pruning import QUICK, run, without_weights
from models.arrays import arrays_of
from models.networks.mlp import MLPArchitecture
from tests.models.support.small_networks import filled

TINY = replace(QUICK, width=0.05, images=80, validation=20, percents=(0, 50, 99))


def test_the_smallest_weights_of_all_hidden_layers_go():
    network = filled(MLPArchitecture("small", (), (7, 6, 5, 4), 3, (2, 2, 1)))
    before, after = arrays_of(network), arrays_of(without_weights(network, 50))
    hidden = [f"fc{layer}.dense.kernel" for layer in (1, 2, 3, 4)]
    sizes = np.sort(np.abs(np.concatenate([before[name].ravel() for name in hidden])))
    border = sizes[len(sizes) // 2]
    for name, array in before.items():
        expected = np.where(np.abs(array) < border, 0, array) if name in hidden else array
        np.testing.assert_array_equal(after[name], expected)


@pytest.mark.slow
@pytest.mark.parametrize("plan", [TINY, QUICK], ids=["tiny", "quick"])
def test_on_digits(tmp_path, plan):
    out = tmp_path / "out"
    result = run(out, plan=plan, data_dir=None, reporter=Silent())
    curves = result["curves"]
    base = result["dense"]["accuracy"]
    assert all([row["percent"] for row in rows] == list(plan.percents) for rows in curves.values())
    assert {rows[0]["accuracy"] for rows in curves.values()} == {base}
    assert plan == TINY or base > 0.8
    # 1% of the neurons is all that is left: the others' parameters are gone.
    assert curves["neurons"][-1]["parameters"] < 0.05 * curves["neurons"][0]["parameters"]
    page = (out / "page.md").read_text()
    assert f"{100 * base:.2f}" in page
    assert all((out / f"figure{number}.png").is_file() for number in (1, 2))
    # Nothing is trained again, and the same page comes out.
    assert run(out, plan=plan, data_dir=None, reporter=Silent()) == result
    assert (out / "page.md").read_text() == page
