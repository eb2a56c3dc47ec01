import os
import signal
from time import monotonic

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster.options import PoolOptions
from engine.cluster.tasks.calls import Task
from engine.contracts import FAILED, STOPPED, Target
from engine.errors import BackendError, DataError, EvaluationError, MaskError, OptionError
from fitness.evaluation import division, programs
from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import ORDERS, PADDING, Batches
from fitness.evaluation.evaluator import LocalEvaluator, RayEvaluator
from fitness.genome import Genome
from models.model_directory import Model
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.pruning import prune
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import filled


def random_masks(layout, count, seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, layout.n_filters)) < rng.random((count, 1))
    for start in layout.offsets:
        masks[:, start] = True
    return masks


def crossed_masks(layout, count, seed):
    """Masks with equal prefixes and duplicates, as crossing and copying make them."""
    rng = np.random.default_rng(seed)
    parents = random_masks(layout, 2, seed)
    masks = parents[rng.integers(2, size=count)]
    cut = np.arange(layout.n_filters) < rng.integers(layout.n_filters + 1, size=(count, 1))
    masks = np.where(cut, masks, parents[rng.integers(2, size=count)])
    masks[:, layout.offsets] = True
    return masks


def logits_of_pruned(network, normalisation, keeps, images):
    """``float64[b, classes]`` of the network without the filters that ``keeps`` removes, by its definition."""
    return defined(prune(network, keeps), images, normalisation)


FEW_OR_MANY = [1, pytest.param(12, marks=pytest.mark.slow)]
"""Seeds of random masks."""


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
    with pytest.raises(DataError, match="`images`"):
        Batches.of(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int32), 4)


@pytest.mark.parametrize("seeds", FEW_OR_MANY)
def test_counts_equal_those_of_the_pruned_network(tiny_model, tiny_images, tiny_genome, seeds):
    images, labels = tiny_images
    masks = np.concatenate([random_masks(tiny_genome.layout, 3, seed) for seed in range(seeds)])
    counts = LocalEvaluator(tiny_model, tiny_genome.layout, images, labels, 16).evaluate(masks)
    for mask, count in zip(masks, counts, strict=True):
        logits = logits_of_pruned(
            tiny_model.network, tiny_model.normalisation, tiny_genome.layout.split(mask), images
        )
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


@pytest.mark.parametrize(
    ("kind", "compaction"),
    [
        pytest.param(kind, compaction, marks=pytest.mark.slow if slow else (), id=f"{kind}-{name}")
        for kind in ("plain", "batch-norm", "residual")
        for name, compaction, slow in (
            ("whole", WHOLE, kind != "plain"),
            ("compacted", Compaction(3, spacing=1), kind == "batch-norm"),
        )
    ],
)
@pytest.mark.parametrize("seeds", FEW_OR_MANY)
def test_predictions_equal_those_of_each_pruned_network(kind, compaction, seeds, tiny_images, lowered_as_wide):
    images, labels = tiny_images
    architecture = {
        "plain": VGGArchitecture("any", ((5, 4), (6,)), (7,), 3, (8, 8, 2)),
        "batch-norm": VGGArchitecture("any", ((5,), (6,)), (), 3, (8, 8, 2), batch_norm=True),
        "residual": ResNetArchitecture("any", (6, 4), ((5,), (4,)), 3, (8, 8, 2)),
    }[kind]
    network = filled(architecture, 1)
    genome = Genome.of(network)
    normalisation = Normalisation((0.4, 0.5), (0.3, 0.2))
    counter = MaskedCounter(network, normalisation, genome.layout, compaction=compaction)
    placed = counter.place(Batches.of(images, labels, 16))
    for seed in range(1, 1 + seeds):
        masks = crossed_masks(genome.layout, 1 + seed % 7, seed)
        counts, failed = counter.count(placed, masks)
        assert not failed.any()
        for mask, count in zip(masks, counts, strict=True):
            logits = logits_of_pruned(network, normalisation, genome.layout.split(mask), images)
            best_two = np.sort(logits, axis=-1)[:, -2:]
            clear = best_two[:, 1] - best_two[:, 0] > 1e-4
            predicted = counter.predict(placed, mask)[: len(images)]
            np.testing.assert_array_equal(predicted[clear], np.argmax(logits, axis=-1)[clear])
            assert count == np.count_nonzero(predicted == labels)


def test_held_memory_does_not_grow_with_the_masks(tiny_model, tiny_images, tiny_genome, monkeypatch):
    images, labels = tiny_images
    most = 0

    def watched(program, *arguments):
        nonlocal most
        if program is programs.count:
            most = max(most, sum(array.nbytes for array in jax.live_arrays()))
        return program(*arguments)

    monkeypatch.setattr(programs, "call", watched)
    counter = MaskedCounter(tiny_model.network, tiny_model.normalisation, tiny_genome.layout)
    placed = counter.place(Batches.of(images, labels, 16))
    counter.count(placed, tiny_genome.layout.full()[None])

    def most_bytes(masks):
        nonlocal most
        most = 0
        counter.count(placed, masks)
        return most

    few = most_bytes(random_masks(tiny_genome.layout, 6, 0))
    # How far the threads are apart makes a little difference.
    assert 0 < most_bytes(random_masks(tiny_genome.layout, 150, 1)) < 1.2 * few


def test_a_target_stops_only_masks_that_miss_it(tiny_model, tiny_images, tiny_genome):
    images, labels = (np.concatenate([part] * 30) for part in tiny_images)
    masks = random_masks(tiny_genome.layout, 12, 5)
    plain = LocalEvaluator(tiny_model, tiny_genome.layout, images, labels, 100)
    counts = plain.evaluate(masks)
    evaluator = LocalEvaluator(
        tiny_model, tiny_genome.layout, images, labels, 100, order="hardest-first", pauses=True
    )
    needed = np.full(12, counts.max())
    needed[0] = evaluator.total + 1
    found = evaluator.evaluate(masks, Target(needed, np.zeros(12)))
    assert found[0] == STOPPED
    stopped = found == STOPPED
    np.testing.assert_array_equal(found[~stopped], counts[~stopped])
    assert (counts[stopped] < needed[stopped]).all()
    assert 1 < np.count_nonzero(stopped) < 12
    np.testing.assert_array_equal(evaluator.evaluate(masks), counts)


def test_any_order_gives_the_same_counts_and_predictions(tiny_model, tiny_images, tiny_genome):
    masks = random_masks(tiny_genome.layout, 3, 8)
    evaluators = [
        LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 16, order=order) for order in ORDERS
    ]
    for evaluator in evaluators[1:]:
        np.testing.assert_array_equal(evaluator.evaluate(masks), evaluators[0].evaluate(masks))
        np.testing.assert_array_equal(evaluator.predict(masks[0]), evaluators[0].predict(masks[0]))


def test_hardest_first_begins_with_the_images_that_the_network_gets_wrong(tiny_model, tiny_images, tiny_genome):
    evaluator = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 16, order="hardest-first")
    assert sorted(evaluator._order[:5].tolist()) == [0, 10, 20, 30, 40]


def test_bfloat16_is_compared_with_float32(tiny_model, tiny_images, tiny_genome):
    evaluator = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 16, precision="bfloat16")
    compared = evaluator.compare_precision()
    assert compared["float32_correct"] == 45
    assert compared["correct"] == evaluator.evaluate(tiny_genome.layout.full()[None])[0]
    assert 0 <= compared["images_that_differ"] < 10
    assert LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, precision="auto").precision == "float32"
    with pytest.raises(OptionError, match="`precision`"):
        LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, precision="float16")


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
    assert evaluator.predict(np.array([True, True, True])).tolist() == [-1] * 7


def test_genomes(tiny_model):
    assert Genome.of(tiny_model.network).layout.names == ("conv1_1", "conv1_2", "conv2_1")
    assert Genome.of(tiny_model.network, "all").layout.sizes == (4, 6, 8, 9)
    with pytest.raises(OptionError, match="`prune`"):
        Genome.of(tiny_model.network, "dense")


@pytest.fixture(scope="module")
def ray_workers(tiny_model, tiny_images, tiny_genome):
    """Three workers and several rounds."""
    pytest.importorskip("ray")
    warnings = []
    options = PoolOptions(workers=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(division, "ROUND_IMAGES", 12)
        with RayEvaluator(
            tiny_model,
            tiny_genome.layout,
            *tiny_images,
            4,
            options,
            warnings.append,
            order="hardest-first",
            pauses=True,
        ) as evaluator:
            yield evaluator, warnings


def test_ray_counts_as_local_does_and_survives_a_killed_worker(ray_workers, tiny_model, tiny_images, tiny_genome):
    evaluator, warnings = ray_workers
    masks = random_masks(tiny_genome.layout, 8, 1)
    local = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4, order="hardest-first")
    expected = local.evaluate(masks).tolist()
    assert evaluator.evaluate(masks).tolist() == expected
    while evaluator.workers().ready < 3:
        evaluator.evaluate(masks)
    os.kill(evaluator.pool.process_ids()[1], signal.SIGKILL)
    # Two workers may do all tasks before Ray tells of the death.
    deadline = monotonic() + 120
    while (figures := evaluator.workers()).replaced < 1 or figures.ready < 3:
        assert evaluator.evaluate(masks).tolist() == expected
        assert monotonic() < deadline, (figures, warnings)
    assert [text for text in warnings if "is replaced: its process" in text], warnings
    assert (figures.wanted, figures.replaced) == (3, 1)
    assert 0 < figures.utilisation <= 1
    np.testing.assert_array_equal(evaluator.predict(masks[0]), local.predict(masks[0]))


def test_ray_stops_the_masks_that_local_stops(ray_workers, tiny_model, tiny_images, tiny_genome):
    evaluator, _ = ray_workers
    assert len(evaluator._rounds) == 4
    local = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4, order="hardest-first", pauses=True)
    masks = random_masks(tiny_genome.layout, 10, 2)
    counts = local.evaluate(masks)
    target = Target(np.full(10, np.sort(counts)[6]), np.zeros(10))
    found = evaluator.evaluate(masks, target)
    np.testing.assert_array_equal(found, local.evaluate(masks, target))
    stopped = found == STOPPED
    assert 0 < np.count_nonzero(stopped) < 10
    np.testing.assert_array_equal(found[~stopped], counts[~stopped])


def test_ray_counts_the_same_where_masks_are_split_too(
    ray_workers, tiny_model, tiny_images, tiny_genome, monkeypatch
):
    evaluator, _ = ray_workers
    masks = random_masks(tiny_genome.layout, 9, 3)
    expected = evaluator.evaluate(masks)
    monkeypatch.setattr(division, "BLOCK_MASKS", 2)
    monkeypatch.setattr(division, "TASKS_PER_WORKER", 16)
    assert division.block_count(9, len(evaluator._shards), 3) > 1
    np.testing.assert_array_equal(evaluator.evaluate(masks), expected)


@given(batches=st.integers(1, 5000), workers=st.integers(1, 300), masks=st.integers(1, 3000))
def test_tasks_are_cut_so_that_workers_find_some(batches, workers, masks):
    shards = division.shard_count(batches, workers)
    assert 1 <= shards <= batches
    assert shards % workers == 0 or shards == batches or workers == 1
    blocks = division.block_count(masks, shards, workers)
    assert 1 <= blocks <= max(1, masks // division.BLOCK_MASKS)


def test_a_shard_that_always_fails_ends_with_its_cause(ray_workers):
    evaluator, _ = ray_workers
    with pytest.raises(EvaluationError, match=r"given up: on 3 workers its evaluation raised, the last time: "):
        evaluator.pool.run([np.zeros((2, 3), np.float32)], [Task(0, 0), Task(0, 1)])


def test_too_many_workers_for_a_cluster_are_refused(ray_workers, tiny_model, tiny_images, tiny_genome):
    with pytest.raises(BackendError, match="`workers` 500"):
        RayEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4, PoolOptions(workers=500))
