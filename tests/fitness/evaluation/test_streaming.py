"""Counts on images that are read some at a time, against those on images in memory."""

import numpy as np
import pytest

from engine.contracts import FAILED
from fitness.evaluation import streaming
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.evaluation.streaming import StreamedEvaluator
from models.arrays import arrays_of, set_arrays


class Stored:
    """Images that tell how many of them were asked for at a time."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.shape = images.shape[1:]
        self.asked = set()

    def __len__(self):
        return len(self.labels)

    def parts(self, at_once):
        self.asked.add(at_once)
        for start in range(0, len(self), at_once):
            yield self.images[start : start + at_once], self.labels[start : start + at_once]


@pytest.mark.parametrize("batches", [1, 2, 3, 100])
def test_counts_and_answers_are_those_of_images_in_memory(
    tiny_model, tiny_images, tiny_genome, monkeypatch, batches
):
    images, labels = tiny_images
    layout = tiny_genome.layout
    masks = np.random.default_rng(0).random((4, layout.n_filters)) < 0.7
    masks[:, layout.offsets] = True
    masks[0] = True
    whole = LocalEvaluator(tiny_model, layout, images, labels, 8)
    stored = Stored(images, labels)
    # 50 images are 7 batches of 8, the last one padded.
    monkeypatch.setattr(streaming, "MOST_BYTES", batches * 8 * images[0].size)
    evaluator = StreamedEvaluator(tiny_model, layout, stored, 8)
    np.testing.assert_array_equal(evaluator.evaluate(masks), whole.evaluate(masks))
    np.testing.assert_array_equal(evaluator.predict(masks), [whole.predict(mask) for mask in masks])
    assert evaluator.compare_precision() == whole.compare_precision()
    assert evaluator.compile() >= 0
    assert stored.asked == {8 * batches}


def test_one_batch_is_read_even_if_it_is_large(tiny_model, tiny_images, tiny_genome, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_BYTES", 1)
    stored = Stored(*tiny_images)
    assert StreamedEvaluator(tiny_model, tiny_genome.layout, stored, 16).evaluate(
        tiny_genome.layout.full()[None]
    ).tolist() == [45]
    assert stored.asked == {13}


def test_answers_that_are_not_finite_fail_the_mask(tiny_model, tiny_images, tiny_genome):
    model = type(tiny_model)(
        tiny_model.network.architecture.build(0), tiny_model.normalisation, tiny_model.classes
    )
    set_arrays(model.network, {name: array * np.nan for name, array in arrays_of(model.network).items()})
    evaluator = StreamedEvaluator(model, tiny_genome.layout, Stored(*tiny_images))
    assert evaluator.evaluate(tiny_genome.layout.full()[None]).tolist() == [FAILED]
    assert (evaluator.predict(tiny_genome.layout.full()[None]) == -1).all()
