import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import FAILED, STOPPED, Target
from engine.errors import BackendError, DataError, EvaluationError, MaskError, OptionError
from engine.pool_options import PoolOptions
from fitness import rounds, splitting, stage_programs
from fitness.batches import PADDING, Batches
from fitness.compaction import WHOLE, Compaction
from fitness.counting import MaskedCounter
from fitness.evaluator import LocalEvaluator, RayEvaluator
from fitness.genome import Genome
from fitness.rounds import ORDERS
from models.lowering import choice
from models.normalisation import Normalisation
from models.pruning import prune
from models.state import arrays_of, set_arrays
from models.store import Model
from models.vgg import VGGArchitecture
from tests.models.residual import ResidualArchitecture


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


def disturb_batch_norm(network):
    """Statistics and scales as training leaves them, not as they are initialised."""
    rng = np.random.default_rng(0)
    arrays = arrays_of(network)
    for name, array in arrays.items():
        if ".norm." in name:
            arrays[name] = rng.uniform(0.5, 2.0, array.shape).astype(np.float32)
    set_arrays(network, arrays)


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


def test_programs_are_bounded_by_widths_not_by_masks(tiny_model, tiny_images, tiny_genome):
    """Three groups of at most 2 widths: in and out widths of each stage, whatever 60 masks ask for."""
    images, labels = tiny_images
    counter = MaskedCounter(
        tiny_model.network, tiny_model.normalisation, tiny_genome.layout, compaction=Compaction(2, spacing=1)
    )
    placed = counter.place(Batches.of(images, labels, 16))
    for seed in range(20):
        counter.count(placed, random_masks(tiny_genome.layout, 3, seed))
    # Runs: conv1_1 2, conv1_2 2x2, conv2_1 2x2, the tail 2; as many programs cut the weights; two more
    # prepare fc1's successor and the head.
    assert counter.programs.compiled() <= 12 + 12 + 2
    before = counter.programs.compiled()
    counter.count(placed, random_masks(tiny_genome.layout, 40, 99))
    assert counter.programs.compiled() - before <= 26 - before


def test_programs_are_dropped_when_there_are_too_many(tiny_model, tiny_images, tiny_genome, monkeypatch):
    """On a CPU each takes memory mappings, of which a process has so many."""
    images, labels = tiny_images
    network = (tiny_model.network, tiny_model.normalisation, tiny_genome.layout)
    masks = np.concatenate([random_masks(tiny_genome.layout, 12, seed) for seed in range(3)])
    unbounded, bounded = (MaskedCounter(*network, compaction=Compaction(4, spacing=1)) for _ in range(2))
    batches = Batches.of(images, labels, 16)
    expected = unbounded.count(unbounded.place(batches), masks)
    assert unbounded.programs.compiled() > 20
    monkeypatch.setattr(stage_programs, "MOST_PROGRAMS", 10)
    found = bounded.count(bounded.place(batches), masks)
    np.testing.assert_array_equal(found, expected)
    # A node asks for the weights, and then runs.
    assert bounded.programs.compiled() <= 10 + 2


def test_whole_groups_share_one_program_a_stage(tiny_model, tiny_images, tiny_genome):
    evaluator = LocalEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 16)
    evaluator.compile()
    before = evaluator.programs()
    for seed in range(3):
        evaluator.evaluate(random_masks(tiny_genome.layout, 4, seed))
    assert evaluator.programs() == before


@pytest.mark.parametrize("kind", ["plain", "batch-norm", "residual"])
@pytest.mark.parametrize("compaction", [WHOLE, Compaction(3, spacing=1)], ids=["whole", "compacted"])
def test_predictions_equal_those_of_each_mask_alone_on_the_masked_network(
    kind, compaction, tiny_images, monkeypatch
):
    # These layers are narrow; the lowering of wide ones is what is to be tested.
    monkeypatch.setattr(choice, "MANY_CHANNELS", 1)
    images, labels = tiny_images
    network = {
        "plain": VGGArchitecture("any", ((5, 4), (6,)), (7,), 3, (8, 8, 2)).build,
        "batch-norm": VGGArchitecture("any", ((5,), (6,)), (), 3, (8, 8, 2), batch_norm=True).build,
        "residual": ResidualArchitecture().build,
    }[kind](1)
    if kind == "batch-norm":
        disturb_batch_norm(network)
    genome = Genome.of(network)
    normalisation = Normalisation((0.4, 0.5), (0.3, 0.2))
    counter = MaskedCounter(network, normalisation, genome.layout, compaction=compaction)
    placed = counter.place(Batches.of(images, labels, 16))
    inputs = normalisation(jnp.asarray(images))

    @settings(max_examples=8)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 7))
    def check(seed, count):
        masks = crossed_masks(genome.layout, count, seed)
        counts, failed = counter.count(placed, masks)
        assert not failed.any()
        for mask, count in zip(masks, counts, strict=True):
            logits = np.asarray(network(inputs, genome.layout.split(mask)))
            best_two = np.sort(logits, axis=-1)[:, -2:]
            clear = best_two[:, 1] - best_two[:, 0] > 1e-4
            expected = np.argmax(logits, axis=-1)
            predicted = counter.predict(placed, mask)[: len(images)]
            np.testing.assert_array_equal(predicted[clear], expected[clear])
            assert count == np.count_nonzero(predicted == labels)
            smaller = prune(network, genome.layout.split(mask))
            np.testing.assert_allclose(smaller(inputs), logits, atol=1e-4)

    check()


def test_held_memory_does_not_grow_with_the_masks(tiny_model, tiny_images, tiny_genome):
    images, labels = tiny_images
    counter = MaskedCounter(tiny_model.network, tiny_model.normalisation, tiny_genome.layout)
    placed = counter.place(Batches.of(images, labels, 16))
    counter.count(placed, tiny_genome.layout.full()[None])

    def most_bytes(masks):
        most, leaf = 0, counter.programs.count

        def watched(*arguments):
            nonlocal most
            most = max(most, sum(array.nbytes for array in jax.live_arrays()))
            return leaf(*arguments)

        counter.programs.count = watched
        counter.count(placed, masks)
        counter.programs.count = leaf
        return most

    few = most_bytes(random_masks(tiny_genome.layout, 6, 0))
    # How far the threads are apart makes a little difference.
    assert most_bytes(random_masks(tiny_genome.layout, 150, 1)) < 1.2 * few


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
    with pytest.raises(OptionError, match="--precision"):
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


def test_genomes(tiny_model):
    assert Genome.of(tiny_model.network).layout.names == ("conv1_1", "conv1_2", "conv2_1")
    assert Genome.of(tiny_model.network, "all").layout.sizes == (4, 6, 8, 9)
    with pytest.raises(OptionError, match="--prune"):
        Genome.of(tiny_model.network, "dense")


@pytest.fixture(scope="module")
def ray_workers(tiny_model, tiny_images, tiny_genome):
    """Three workers and several rounds."""
    pytest.importorskip("ray")
    warnings = []
    options = PoolOptions(workers=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "ROUND_IMAGES", 12)
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
    assert evaluator.evaluate(masks).tolist() == expected
    assert evaluator.evaluate(masks).tolist() == expected
    while (figures := evaluator.workers()).ready < 3:
        assert evaluator.evaluate(masks).tolist() == expected
    assert [text for text in warnings if "is replaced: its process or its machine is gone" in text]
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
    monkeypatch.setattr(splitting, "BLOCK_MASKS", 2)
    monkeypatch.setattr(splitting, "TASKS_PER_WORKER", 16)
    assert splitting.block_count(9, len(evaluator._shards), 3) > 1
    np.testing.assert_array_equal(evaluator.evaluate(masks), expected)


@given(batches=st.integers(1, 5000), workers=st.integers(1, 300), masks=st.integers(1, 3000))
def test_tasks_are_cut_so_that_workers_find_some(batches, workers, masks):
    shards = splitting.shard_count(batches, workers)
    assert 1 <= shards <= batches
    assert shards % workers == 0 or shards == batches or workers == 1
    blocks = splitting.block_count(masks, shards, workers)
    assert 1 <= blocks <= max(1, masks // splitting.BLOCK_MASKS)


def test_a_shard_that_always_fails_ends_with_its_cause(ray_workers):
    evaluator, _ = ray_workers
    with pytest.raises(EvaluationError, match=r"given up: on 3 workers its evaluation raised, the last time: "):
        evaluator.pool.run([np.zeros((2, 3), np.float32)], [(0, 0), (0, 1)])


def test_too_many_workers_for_a_cluster_are_refused(ray_workers, tiny_model, tiny_images, tiny_genome):
    with pytest.raises(BackendError, match="--workers 500"):
        RayEvaluator(tiny_model, tiny_genome.layout, *tiny_images, 4, PoolOptions(workers=500))
