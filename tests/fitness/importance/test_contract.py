"""What every importance promises."""

import inspect
import sys
from dataclasses import replace

import numpy as np
import pytest

from engine.errors import DataError
from fitness.importance import IMPORTANCES
from fitness.importance.batchwise import batchwise
from models.arrays import arrays_of
from tests.fitness.importance.subjects import KINDS, subject_of

TAKERS = ["cosine", "hrank", "oracle", "taylor", "taylor-joint", "taylor-squared"]
NORMED = ["conv1_1", "conv2_1", "conv2_2"]
"""The layers of the network with batch norm that have one."""

SUBSETS = {"plain": ["conv1_2", "conv2_1"], "batch-norm": ["conv2_1", "fc1"], "residual": ["inner1"]}


CASES = [
    pytest.param(name, kind, marks=pytest.mark.slow)
    if kind == "batch-norm" and name != "slimming"
    else (name, kind)
    for name in IMPORTANCES
    for kind in KINDS
    if kind == "batch-norm" or name != "slimming"
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_importances_keep_the_contract(name, kind):
    method = IMPORTANCES[name]
    subject = subject_of(kind, NORMED if name == "slimming" else None)
    some = [group for group in SUBSETS[kind] if group in subject.layout.names]
    arrays, images, labels = arrays_of(subject.model.network), subject.images.copy(), subject.labels.copy()
    subject.images.setflags(write=False)
    subject.labels.setflags(write=False)

    found = method(subject)

    assert found.dtype == np.float64
    assert found.shape == (subject.layout.n_filters,)
    assert np.isfinite(found).all()
    assert len(np.unique(found)) > 1
    np.testing.assert_array_equal(method(subject), found)
    # Other batches, of which the last is padded, and only some of the filters.
    smaller = {"batch": 7} if "batch" in inspect.signature(method).parameters else {}
    part = method(subject_of(kind, some), **smaller)
    expected = np.concatenate([subject.layout.split(found)[group] for group in some])
    # What cancels what depends on who is asked about, and so do places in the order.
    if name != "taylor-joint":
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-6)
    for array, before in arrays_of(subject.model.network).items():
        np.testing.assert_array_equal(before, arrays[array])
    np.testing.assert_array_equal(subject.images, images)
    np.testing.assert_array_equal(subject.labels, labels)


@pytest.mark.parametrize("name", ["hrank", "reconstruction", "taylor_joint"])
def test_some_of_the_images_are_a_sample_of_all(name, monkeypatch):
    """Not the first of them: folders of images come sorted by class."""
    # The package has the functions under the names of their modules.
    monkeypatch.setattr(sys.modules[f"fitness.importance.{name}"], "IMAGES", 12)
    method = IMPORTANCES[name.replace("_", "-")]
    whole = subject_of("plain", images=60)
    drawn = np.sort(np.random.default_rng(whole.seed).choice(60, 12, replace=False))
    few = replace(whole, images=whole.images[drawn], labels=whole.labels[drawn])
    np.testing.assert_array_equal(method(whole), method(few))
    other = method(replace(whole, seed=1))
    assert not np.array_equal(other, method(whole))
    assert not np.array_equal(
        method(replace(few, images=whole.images[:12], labels=whole.labels[:12])), method(whole)
    )


def test_what_depends_on_images_takes_a_batch_size():
    takers = {name for name, method in IMPORTANCES.items() if "batch" in inspect.signature(method).parameters}
    assert takers == set(TAKERS)


@pytest.mark.parametrize("name", TAKERS)
def test_no_images_are_an_error(name):
    subject = subject_of("plain")
    with pytest.raises(DataError, match="`images`"):
        IMPORTANCES[name](replace(subject, images=subject.images[:0], labels=subject.labels[:0]))


def test_random_depends_on_the_seed():
    subject = subject_of("plain")
    assert (IMPORTANCES["random"](subject) != IMPORTANCES["random"](replace(subject, seed=1))).all()


def test_a_program_is_traced_once_for_all_batches():
    subject = subject_of("plain")
    traced = []

    def program(layout, network, inputs, labels):
        traced.append(inputs.shape)
        return network(inputs).sum(axis=-1)

    list(batchwise(subject, program, 8))
    answers = list(batchwise(subject, program, 8))
    assert traced == [(7, 8, 8, 2)]
    assert [labels.tolist() for _, labels in answers] == [
        subject.labels[:7].tolist(),
        subject.labels[7:14].tolist(),
        [*subject.labels[14:].tolist(), -1],
    ]
