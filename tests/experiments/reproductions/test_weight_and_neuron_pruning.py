"""Seed 001 on digits: the page is complete and its numbers hang together."""

import numpy as np
import pytest

from experiments.progress import Silent
from experiments.reproductions import run_reproduction
from experiments.reproductions.weight_and_neuron_pruning import PERCENTS, without_weights
from models.mlp import MLPArchitecture
from models.state import arrays_of


def test_the_smallest_weights_of_all_hidden_layers_go():
    network = MLPArchitecture("small", (), (7, 6, 5, 4), 3, (2, 2, 1)).build(2)
    before, after = arrays_of(network), arrays_of(without_weights(network, 50))
    hidden = [f"fc{layer}.dense.kernel" for layer in (1, 2, 3, 4)]
    sizes = np.sort(np.abs(np.concatenate([before[name].ravel() for name in hidden])))
    border = sizes[len(sizes) // 2]
    for name, array in before.items():
        expected = np.where(np.abs(array) < border, 0, array) if name in hidden else array
        np.testing.assert_array_equal(after[name], expected)


@pytest.mark.slow
def test_quick(tmp_path):
    out = tmp_path / "out"
    result = run_reproduction("weight-and-neuron-pruning", out, quick=True, reporter=Silent())
    curves = result["curves"]
    base = result["dense"]["accuracy"]
    assert all([row["percent"] for row in rows] == list(PERCENTS) for rows in curves.values())
    assert {rows[0]["accuracy"] for rows in curves.values()} == {base}
    assert base > 0.8
    # 1% of the neurons is all that is left: the others' parameters are gone.
    assert curves["neurons"][-1]["parameters"] < 0.05 * curves["neurons"][0]["parameters"]
    page = (out / "page.md").read_text()
    assert f"{100 * base:.2f}" in page
    assert all((out / f"figure{number}.png").is_file() for number in (1, 2))
    # Nothing is trained again, and the same page comes out.
    assert run_reproduction("weight-and-neuron-pruning", out, quick=True, reporter=Silent()) == result
    assert (out / "page.md").read_text() == page
