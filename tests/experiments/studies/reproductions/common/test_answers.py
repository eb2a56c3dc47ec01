"""Answers of whole networks against the evaluator's."""

import numpy as np

from experiments.studies.reproductions.common.answers import Answers
from experiments.studies.weight_pruning import magnitudes, prune_weights, remove_lowest
from fitness.evaluation.evaluator import LocalEvaluator
from models.arrays import kernels_of


def test_answers_are_the_evaluator_s(tiny_model, tiny_images, tiny_genome):
    images, labels = tiny_images
    answers = Answers(tiny_model.normalisation, images, batch=20)
    with LocalEvaluator(tiny_model, tiny_genome.layout, images, labels) as evaluator:
        np.testing.assert_array_equal(answers(tiny_model.network), evaluator.predict(tiny_genome.layout.full()))


def test_networks_of_one_architecture_share_a_program(tiny_model, tiny_images):
    answers = Answers(tiny_model.normalisation, tiny_images[0], batch=25)
    answers(tiny_model.network)
    pruned = prune_weights(tiny_model.network, remove_lowest(magnitudes(kernels_of(tiny_model.network)), 60))
    answers(pruned.network)
    assert answers._ask._cache_size() == 1


def test_the_front_that_networks_share_runs_once(tiny_model, tiny_images):
    network, images = tiny_model.network, tiny_images[0]
    whole = Answers(tiny_model.normalisation, images)
    behind = Answers(tiny_model.normalisation, images, batch=20, shared=network, first="fc1")
    kernels = {name: kernel for name, kernel in kernels_of(network).items() if name.startswith("fc1")}
    for percent in (0, 50, 90):
        pruned = prune_weights(network, remove_lowest(magnitudes(kernels), percent)).network
        np.testing.assert_array_equal(behind(pruned), whole(pruned))
