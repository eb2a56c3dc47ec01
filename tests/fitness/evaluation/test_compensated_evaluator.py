"""Compensation inside the fitness: each mask as its own compensated network, whatever its company."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fitness.evaluation import programs
from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.evaluation.folds import Folds
from fitness.evaluation.masked_stages import MaskedStages
from fitness.evaluation.shard_worker import Request, blueprint, from_blueprint, local_worker
from fitness.genome import Genome
from models.arrays import arrays_of, set_arrays
from models.compensation.folding import compensated
from models.compensation.method import Compensation
from models.compensation.moments import gather_moments
from models.lowering.choice import traced_for
from models.normalisation import Normalisation
from models.pruning import prune
from tests.fitness.evaluation.test_evaluator import crossed_masks, random_masks
from tests.models.support.compensation_cases import KINDS, built, folded_by_hand
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import logits as masked_logits
from tests.models.support.small_networks import small

NORMALISATION = Normalisation((0.4, 0.5), (0.3, 0.2))


@pytest.fixture(scope="module")
def tiny_compensation(tiny_model, tiny_genome, tiny_images):
    products = gather_moments(
        tiny_model.network, tiny_model.normalisation, tiny_images[0], tiny_genome.layout.names
    )
    return Compensation("linear", products)


CASES = [
    pytest.param("plain", WHOLE, id="plain, whole", marks=pytest.mark.slow),
    *(
        pytest.param(
            kind, Compaction(3, spacing=1), id=kind, marks=pytest.mark.slow if kind == "residual" else ()
        )
        for kind in KINDS
    ),
]
"""Each kind compacted and one whole too; nearly all of the time is compilation."""


@pytest.mark.parametrize(("kind", "compaction"), CASES)
def test_predictions_equal_those_of_each_compensated_network(
    kind, compaction, tiny_images, quick_compilation, lowered_as_wide
):
    network = built(kind)
    genome = Genome.of(network, "all")
    products = gather_moments(network, NORMALISATION, tiny_images[0], genome.layout.names)
    compensation = Compensation("linear", products)
    counter = MaskedCounter(
        network, NORMALISATION, genome.layout, compaction=compaction, compensation=compensation
    )

    def logits(keeps, inputs):
        changed = network.architecture.blank()
        set_arrays(changed, folded_by_hand(network, keeps, compensation))
        if kind == "residual":
            return masked_logits(changed, inputs, keeps)
        return defined(prune(changed, keeps), np.asarray(inputs))

    check(counter, NORMALISATION, tiny_images, crossed_masks(genome.layout, 3, 0), logits)


@pytest.mark.slow
def test_predictions_equal_those_of_resnet20_pruned_and_folded(quick_compilation):
    network = small("resnet20")
    shape = network.architecture.input_shape
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3)
    rng = np.random.default_rng(6)
    images = rng.integers(0, 256, (30, *shape), dtype=np.uint8)
    genome = Genome.of(network, "all")
    compensation = Compensation("linear", gather_moments(network, normalisation, images, genome.layout.names))
    counter = MaskedCounter(network, normalisation, genome.layout, compensation=compensation)

    def logits(keeps, inputs):
        changed = network.architecture.blank()
        set_arrays(changed, folded_by_hand(network, keeps, compensation))
        pruned = prune(changed, keeps)
        assert pruned.architecture != network.architecture
        found = np.asarray(jax.jit(lambda: pruned(inputs))())
        exported = prune(compensated(network, keeps, compensation), keeps)
        for name, array in arrays_of(exported).items():
            np.testing.assert_allclose(array, arrays_of(pruned)[name], rtol=1e-3, atol=1e-4)
        return found

    data = images, rng.integers(0, 4, 30).astype(np.int32)
    check(counter, normalisation, data, random_masks(genome.layout, 2, 5), logits)


def check(counter, normalisation, data, masks, logits_of):
    """Counts and predictions of ``masks`` are those of ``logits_of(keeps, inputs)``, but for ties."""
    images, labels = data
    placed = counter.place(Batches.of(images, labels, 16))
    inputs = normalisation(jnp.asarray(images))
    counts, failed = counter.count(placed, masks)
    assert not failed.any()
    for mask, count in zip(masks, counts, strict=True):
        logits = np.asarray(logits_of(counter.layout.split(mask), inputs))
        best_two = np.sort(logits, axis=-1)[:, -2:]
        clear = best_two[:, 1] - best_two[:, 0] > 1e-4 * np.abs(logits).max()
        assert clear.mean() > 0.9
        predicted = counter.predict(placed, mask)[: len(images)]
        np.testing.assert_array_equal(predicted[clear], np.argmax(logits, axis=-1)[clear])
        assert count == np.count_nonzero(predicted == labels)


def test_counts_do_not_depend_on_company_and_differ_from_those_without(
    tiny_model, tiny_images, tiny_genome, tiny_compensation
):
    masks = random_masks(tiny_genome.layout, 6, 0)
    data = (tiny_model, tiny_genome.layout, *tiny_images)
    evaluator = LocalEvaluator(*data, 16, compensation=tiny_compensation)
    together = evaluator.evaluate(masks)
    assert together.tolist() == [int(evaluator.evaluate(mask[None])[0]) for mask in masks]
    assert together.tolist() == LocalEvaluator(*data, 25, compensation=tiny_compensation).evaluate(masks).tolist()
    assert together.tolist() != LocalEvaluator(*data, 16).evaluate(masks).tolist()


def test_a_worker_of_another_process_counts_as_one_of_this_process(
    tiny_model, tiny_images, tiny_genome, tiny_compensation
):
    layout, masks = tiny_genome.layout, random_masks(tiny_genome.layout, 8, 1)
    plan = pickle.loads(pickle.dumps(blueprint(tiny_model, layout, "float32", tiny_compensation)))  # noqa: S301
    workers = from_blueprint(plan), local_worker(tiny_model, layout, "float32", tiny_compensation)
    shard, request = Batches.of(*tiny_images, 4), Request("count", layout.pack(masks))
    there, here = (worker(0, shard, request) for worker in workers)
    np.testing.assert_array_equal(there, here)
    expected = LocalEvaluator(tiny_model, layout, *tiny_images, 4, compensation=tiny_compensation).evaluate(masks)
    np.testing.assert_array_equal(there[0], expected)


def test_stages_run_as_often_as_without(tiny_model, tiny_images, tiny_genome, tiny_compensation, monkeypatch):
    masks = crossed_masks(tiny_genome.layout, 12, 4)
    runs, ran = [], []

    def watched(program, *arguments):
        if program is programs.run:
            ran.append(arguments[0])
        return program(*arguments)

    monkeypatch.setattr(programs, "call", watched)
    for compensation in (None, tiny_compensation):
        counter = MaskedCounter(
            tiny_model.network, tiny_model.normalisation, tiny_genome.layout, compensation=compensation
        )
        ran.clear()
        counter.count(counter.place(Batches.of(*tiny_images, 50)), masks)
        runs.append(list(ran))
    assert runs[0] == runs[1]
    assert len(runs[0]) > 3


def test_a_mask_that_removes_nothing_has_the_weights_of_the_network(
    tiny_model, tiny_genome, tiny_compensation, tiny_images
):
    network = tiny_model.network
    plain, folding = (
        MaskedCounter(network, tiny_model.normalisation, tiny_genome.layout, compensation=each).stages
        for each in (None, tiny_compensation)
    )
    for number, stage in enumerate(folding.chain):
        full, fewer = tiny_genome.layout.full(), random_masks(tiny_genome.layout, 1, 3)[0]
        for name, array in plain.weights(number, plain.variant(number, full)).items():
            found = folding.weights(number, folding.variant(number, full))[name]
            assert np.asarray(found).tobytes() == np.asarray(array).tobytes()
            if stage.reads is not None:
                changed = folding.weights(number, folding.variant(number, fewer))[name]
                assert not np.array_equal(changed, array)


def test_old_folds_are_forgotten(tiny_model, tiny_genome, tiny_compensation, monkeypatch):
    monkeypatch.setattr("fitness.evaluation.folds.CACHED_BYTES", 1000)
    folds = Folds(tiny_compensation, Compaction())
    stage, key = tiny_model.network.stages[1], ("convolution.kernel", "conv1_1")
    first = folds.of(stage, {"conv1_1": np.array([True, False, True, True])})
    for bits in range(1, 15):
        found = folds.of(stage, {"conv1_1": np.array([bits >> i & 1 for i in range(4)], bool)})
        assert list(found) == [key]
    assert 1 <= len(folds._cache) < 14
    assert folds._bytes <= 1000
    again = folds.of(stage, {"conv1_1": np.array([True, False, True, True])})
    np.testing.assert_array_equal(again[key].matrix, first[key].matrix)
    assert folds.of(stage, {"conv1_1": np.ones(4, bool)}) == {}


@pytest.mark.parametrize("network", [built("residual"), built("plain")], ids=["residual", "plain"])
def test_channels_taken_on_the_device_are_those_taken_on_the_host(network, tiny_images):
    layout = Genome.of(network, "all").layout
    products = gather_moments(network, NORMALISATION, tiny_images[0], layout.names)
    fixed = NORMALISATION, layout, Compaction(3, spacing=1), jnp.float32, Compensation("linear", products)
    on_host = MaskedStages(network, *fixed)
    with traced_for("gpu"):
        on_device = MaskedStages(network, *fixed)
    for mask in random_masks(layout, 3, seed=0):
        for number in range(len(on_host.chain)):
            host, device = (
                stages.weights(number, stages.variant(number, mask)) for stages in (on_host, on_device)
            )
            jax.tree.map(np.testing.assert_array_equal, host, device)
