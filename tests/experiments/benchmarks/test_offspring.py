"""The generations that benchmarks take their masks from."""

import json

import numpy as np
import pytest

from engine.layout import Layout
from experiments.benchmarks import offspring

SMALL = Layout(("conv1", "conv2"), (40, 60))


def recorded_layout(name):
    with np.load(offspring.FILE) as file:
        entry = json.loads(str(file["provenance"]))[name]["layout"]
    return Layout(tuple(entry["names"]), tuple(entry["sizes"]))


@pytest.mark.parametrize("name", ["early", "late"])
def test_a_recorded_generation_holds_what_the_operators_make_of_its_parents(name):
    layout = recorded_layout(name)
    found = offspring.generation(name, layout)
    assert "real search" in found.source
    assert found.parents.shape == (offspring.PARENTS, 4224)
    for count in (20, 180):
        np.testing.assert_array_equal(offspring.breed(layout, found.parents, count), found.stored[count])


@pytest.mark.parametrize("name", ["early", "late"])
def test_parents_have_as_many_different_offspring_as_asked(name):
    for layout in (recorded_layout(name), SMALL):
        parents = offspring.generation(name, layout).parents
        masks = offspring.many(layout, parents, 200)
        assert masks.shape == (200, layout.n_filters)
        assert len(np.unique(np.concatenate([masks, parents]), axis=0)) == 200 + len(np.unique(parents, axis=0))
        assert not layout.empties(masks).any()


def test_another_network_has_synthetic_parents_that_lost_a_share():
    found = offspring.generation("late", SMALL)
    assert found.source.startswith("synthetic")
    assert 0.1 < 1 - found.parents.mean() < 0.35
