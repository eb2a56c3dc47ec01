import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import FAILED
from engine.errors import BackendError, DataError, EvaluationError, MaskError, OptionError
from engine.pool import PoolOptions
from fitness.batches import PADDING, Batches
from fitness.evaluator import LocalEvaluator, RayEvaluator
from fitness.genome import Genome
from models.normalisation import Normalisation
from models.pruning import prune
from models.store import Model
from models.vgg import VGGArchitecture


def random_masks(layout, count, seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, layout.n_filters)) < rng.random((count, 1))
    for start in layout.offsets:
        masks[:, start] = True
    return masks


@given(st.integers(1, 60), st.integers(1, 25))
def test_batches_hold_each_image_once_and_waste_little(total, largest):
    images = np.arange(total * 4, dtype=np.uint8).reshape(total, 2, 2, 1)
    labels = np.arange(total, dtype=np.int32)
    batches = Batches.of(images, labels, largest)
    flat = batches.labels.ravel()
    assert flat[:total].tolist() == labels.tolist()
    assert (flat[total:] == PADDING).all()
    assert batches.labels.shape[1] <= largest
    assert len(flat) - total < len(batches.labels)
    np.testing.assert_array_equal(batches.images.reshape(-1, 2, 2, 1)[:total], images)
    shards = batches.shards(3)
    np.testing.assert_array_equal(np.concatenate([shard.labels for shard in shards]), batches.labels)


def test_no_images_is_an_error():
    with pytest.raises(DataError, match="--images"):
        Batches.of(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int32), 4)


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1))
def test_counts_equal_those_of_the_pruned_network(tiny_model, tiny_images, tiny_genome, seed):
    images, labels = tiny_images
    masks = random_masks(tiny_genome.layout, 3, seed)
    counts = LocalEvaluator(tiny_model, tiny_genome.layout, images, labels, 16).evaluate(masks)
    for mask, count in zip(masks, counts, strict=True):
        smaller = prune(tiny_model.network, tiny_genome.layout.split(mask))
        logits = np.asarray(smaller(tiny_model.normalisation(jnp.asarray(images))))
        # Rounding may turn an image whose two best logits are equal to the last bits, and only such.
        best_two = np.sort(logits, axis=-1)[:, -2:]
        ties = np.count_nonzero(best_two[:, 1] - best_two[:, 0] < 1e-5)
        assert abs(count - np.count_nonzero(np.argmax(logits, axis=-1) == labels)) <= ties


def test_counts_do_not_depend_on_company_or_batch(tiny_model, tiny_images, tiny_genome):
    images, labels = tiny_images
    masks = random_masks(tiny_genome.layout, 6, 0)
    evaluator = LocalEvaluator(tiny_model, tiny_genome.layout, images, labels, 16)
    together = evaluator.evaluate(masks)
    assert together.tolist() == [int(evaluator.evaluate(mask[None])[0]) for mask in masks]
    assert together.tolist() == evaluator.evaluate(masks[::-1])[::-1].tolist()
    assert evaluator.evaluate(tiny_genome.layout.full()[None]).tolist() == [45]
    assert evaluator.predict(tiny_genome.layout.full()).shape == (50,)
    with pytest.raises(MaskError):
        evaluator.evaluate(masks[:, :-1])


def test_one_program_serves_all_masks(tiny_model, tiny_images, tiny_genome):
    evaluator = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 16)
    evaluator.compile()
    for seed in range(3):
        evaluator.evaluate(random_masks(tiny_genome.layout, 4, seed))
    assert evaluator._counter._count_batch._cache_size() == 1


def test_masks_that_give_nan_fail_and_others_do_not():
    network = VGGArchitecture("any", ((3,),), (), 2, (4, 4, 1)).build()
    kernel = network.stages[0].convolution.kernel
    kernel[...] = kernel[...].at[..., 1].set(jnp.nan)
    model = Model(network, Normalisation((0.5,), (0.5,)), ("a", "b"))
    genome = Genome.of(network)
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1), dtype=np.uint8)
    evaluator = LocalEvaluator(model, genome.layout, images, np.zeros(7, np.int32), 4)
    counts = evaluator.evaluate(np.array([[True, True, True], [True, False, True]]))
    assert counts[0] == FAILED
    assert 0 <= counts[1] <= 7


def test_genomes(tiny_model):
    assert Genome.of(tiny_model.network).layout.names == ("conv1_1", "conv1_2", "conv2_1")
    assert Genome.of(tiny_model.network, "all").layout.sizes == (4, 6, 8, 9)
    with pytest.raises(OptionError, match="--prune"):
        Genome.of(tiny_model.network, "dense")


@pytest.fixture(scope="module")
def ray_workers(tiny_model, tiny_images, tiny_genome):
    pytest.importorskip("ray")
    warnings = []
    options = PoolOptions(workers=3)
    with RayEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4, options, warnings.append) as evaluator:
        yield evaluator, warnings


def test_ray_counts_as_local_does_and_survives_a_killed_worker(ray_workers, tiny_model, tiny_images, tiny_genome):
    evaluator, warnings = ray_workers
    masks = random_masks(tiny_genome.layout, 8, 1)
    expected = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4).evaluate(masks).tolist()
    assert evaluator.evaluate(masks).tolist() == expected
    os.kill(evaluator.pool.process_ids()[1], signal.SIGKILL)
    assert evaluator.evaluate(masks).tolist() == expected
    assert evaluator.evaluate(masks).tolist() == expected
    assert evaluator.pool.replaced == 1
    assert "is replaced" in warnings[0]


def test_a_shard_that_always_fails_ends_with_its_cause(ray_workers):
    evaluator, _ = ray_workers
    with pytest.raises(EvaluationError, match=r"failed 3 times, the last time with: TypeError"):
        evaluator.pool.run(np.zeros((2, 3), np.float32))


def test_too_many_workers_for_a_cluster_are_refused(ray_workers, tiny_model, tiny_images, tiny_genome):
    with pytest.raises(BackendError, match="--workers 500"):
        RayEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4, PoolOptions(workers=500))
