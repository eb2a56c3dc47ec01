"""Sums over more than 32,768 rows against NumPy in float64: jaxlib 0.10.2 gets some of them wrong by itself."""

import jax.numpy as jnp
import numpy as np
import pytest

from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.genome import Genome
from fitness.importance import Subject
from fitness.importance.cosine import grams
from fitness.importance.taylor import gate_gradients
from models.arrays import arrays_of
from models.model_directory import Model
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation

IMAGES, FILTERS = 5_000, 8
"""40,000 sums of activation x gradient, and 80,000 positions, in one batch."""


@pytest.fixture(scope="module")
def subject():
    """One convolution and the logits."""
    model = Model(
        VGGArchitecture("one", ((FILTERS,),), (), 3, (8, 8, 1), dropout=0.0).build(0),
        Normalisation((0.4,), (0.3,)),
        ("a", "b", "c"),
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 8, 8, 1), dtype=np.uint8)
    labels = rng.integers(0, 3, IMAGES, dtype=np.int32)
    return Subject(model, Genome.of(model.network, "all").layout, images, labels)


@pytest.fixture(scope="module")
def read(subject):
    """What the logits read, ``float64[images, positions, filters]``, and the kernel that reads it."""
    first, *_, last = subject.model.network.stages
    normalised = subject.model.normalisation(jnp.asarray(subject.images))
    maps = [np.asarray(first(part, {})) for part in jnp.split(normalised, 2)]
    arrays = arrays_of(subject.model.network)
    kernel = arrays[f"{last.name}.dense.kernel"].astype(np.float64)
    seen = np.concatenate(maps).astype(np.float64).reshape(IMAGES, -1, FILTERS)
    return seen, kernel.reshape(-1, FILTERS, 3), arrays[f"{last.name}.dense.bias"].astype(np.float64)


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def logits(read):
    seen, kernel, bias = read
    return np.einsum("npf,pfk->nk", seen, kernel) + bias


def test_gradients_of_many_gates(subject, read):
    seen, kernel, _ = read
    shares = np.exp(logits(read) - logits(read).max(axis=1, keepdims=True))
    errors = shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[subject.labels]
    (found,) = gate_gradients(subject, batch=IMAGES)
    assert_close(found["conv1_1"], np.einsum("npf,pfk,nk->nf", seen, kernel, errors))


def test_products_over_many_positions(subject, read):
    rows = read[0].reshape(-1, FILTERS)
    assert_close(grams(subject, batch=IMAGES)["conv1_1"], rows.T @ rows)


def test_counts_of_many_images_in_one_batch(subject, read):
    counter = MaskedCounter(subject.model.network, subject.model.normalisation, subject.layout)
    batches = Batches.of(np.tile(subject.images, (8, 1, 1, 1)), np.tile(subject.labels, 8), 8 * IMAGES)
    counts = counter.count(counter.place(batches), subject.layout.full()[None])
    right = 8 * np.count_nonzero(logits(read).argmax(axis=1) == subject.labels)
    assert abs(counts[0, 0] - right) <= 8
    assert counts[1, 0] == 0
