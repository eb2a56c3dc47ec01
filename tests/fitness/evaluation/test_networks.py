"""Every network that is no VGG in the evaluator: its counts are those of each pruned network by its definition."""

import numpy as np
import pytest

from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.evaluation.shard_worker import blueprint, from_blueprint, local_worker
from fitness.genome import Genome
from models.model_directory import Model
from models.normalisation import Normalisation
from models.pruning import prune
from tests.fitness.evaluation.test_evaluator import crossed_masks
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import PLAIN, small

SLOW = ("resnet20", "resnet-stem", "resnet-copied", "vgg-averaged", "lenet5-sigmoid", "fashion_cnn")


CASES = [
    # Whole, one network stands for all in the fast tests: programs at other widths are the ones that may go wrong.
    pytest.param(name, compaction, marks=pytest.mark.slow if slow else (), id=f"{name}-{kind}")
    for name in PLAIN
    for kind, compaction, slow in (
        ("whole", WHOLE, name != "convnet"),
        ("compacted", Compaction(3, spacing=1), name in SLOW),
    )
]


@pytest.mark.parametrize(("name", "compaction"), CASES)
def test_predictions_equal_those_of_each_pruned_network(name, compaction, lowered_as_wide):
    network = small(name)
    shape = network.architecture.input_shape
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (11, *shape), dtype=np.uint8)
    labels = rng.integers(0, 4, 11).astype(np.int32)
    normalisation = Normalisation((0.4,) * shape[2], (0.3,) * shape[2])
    genome = Genome.of(network, "all")
    counter = MaskedCounter(network, normalisation, genome.layout, compaction=compaction)
    placed = counter.place(Batches.of(images, labels, 6))
    masks = crossed_masks(genome.layout, 3, 0)
    counts, failed = counter.count(placed, masks)
    assert not failed.any()
    compared = 0
    for mask, count in zip(masks, counts, strict=True):
        logits = defined(prune(network, genome.layout.split(mask)), images, normalisation)
        best_two = np.sort(logits, axis=-1)[:, -2:]
        clear = best_two[:, 1] - best_two[:, 0] > 1e-5
        predicted = counter.predict(placed, mask)[: len(images)]
        np.testing.assert_array_equal(predicted[clear], np.argmax(logits, axis=-1)[clear])
        assert count == np.count_nonzero(predicted == labels)
        assert count == counter.count(placed, mask[None])[0, 0]
        compared += np.count_nonzero(clear)
    assert compared > 0.9 * counts.size * len(images)


@pytest.mark.parametrize("name", ["resnet-copied", "vgg-average"])
def test_a_worker_in_another_process_builds_the_same_network(name):
    """Epsilon, pools and shortcuts travel as JSON."""
    network = small(name)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, *network.architecture.input_shape), dtype=np.uint8)
    batches = Batches.of(images, rng.integers(0, 4, 9).astype(np.int32), 9)
    model = Model(network, Normalisation((0.4, 0.5, 0.6), (0.3, 0.2, 0.25)), tuple("abcd"))
    genome = Genome.of(network, "all")
    here = local_worker(model, genome.layout, "float32").counter
    there = from_blueprint(blueprint(model, genome.layout, "float32")).counter
    for mask in crossed_masks(genome.layout, 2, 0):
        margins = [counter.margins(counter.place(batches), mask) for counter in (here, there)]
        np.testing.assert_allclose(margins[1], margins[0], rtol=1e-5)
