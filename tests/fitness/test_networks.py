"""Every network that is no VGG in the evaluator: its counts are those of each mask alone on the masked network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fitness.batches import Batches
from fitness.compaction import WHOLE, Compaction
from fitness.counting import MaskedCounter
from fitness.genome import Genome
from models.lowering import choice
from models.normalisation import Normalisation
from tests.fitness.test_evaluator import crossed_masks
from tests.models.small_networks import PLAIN, small


@pytest.mark.parametrize("compaction", [WHOLE, Compaction(3, spacing=1)], ids=["whole", "compacted"])
@pytest.mark.parametrize("name", PLAIN)
def test_predictions_equal_those_of_each_mask_alone_on_the_masked_network(name, compaction, monkeypatch):
    # These layers are narrow; the lowering of wide ones is what is to be tested.
    monkeypatch.setattr(choice, "MANY_CHANNELS", 1)
    network = small(name)
    shape = network.architecture.input_shape
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (11, *shape), dtype=np.uint8)
    labels = rng.integers(0, 4, 11).astype(np.int32)
    normalisation = Normalisation((0.4,) * shape[2], (0.3,) * shape[2])
    genome = Genome.of(network, "all")
    counter = MaskedCounter(network, normalisation, genome.layout, compaction=compaction)
    placed = counter.place(Batches.of(images, labels, 6))
    inputs = normalisation(jnp.asarray(images))
    masked = jax.jit(lambda keeps: network(inputs, keeps))
    masks = crossed_masks(genome.layout, 5, 0)
    counts, failed = counter.count(placed, masks)
    assert not failed.any()
    compared = 0
    for mask, count in zip(masks, counts, strict=True):
        logits = np.asarray(masked(genome.layout.split(mask)))
        best_two = np.sort(logits, axis=-1)[:, -2:]
        clear = best_two[:, 1] - best_two[:, 0] > 1e-5
        predicted = counter.predict(placed, mask)[: len(images)]
        np.testing.assert_array_equal(predicted[clear], np.argmax(logits, axis=-1)[clear])
        assert count == np.count_nonzero(predicted == labels)
        assert count == counter.count(placed, mask[None])[0, 0]
        compared += np.count_nonzero(clear)
    assert compared > 0.9 * counts.size * len(images)
