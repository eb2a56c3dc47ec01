"""Recalibration inside the fitness: each mask as its own exported network, whatever its company."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from fitness.evaluation import programs
from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.evaluation.shard_worker import Request, blueprint, from_blueprint, local_worker
from fitness.genome import Genome
from models.arrays import arrays_of, set_arrays
from models.compensation.method import Compensation
from models.compensation.moments import gather_moments
from models.compensation.recalibration import Calibration, recalibrated
from models.model_directory import Model
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.pruning import prune
from tests.fitness.evaluation.test_compensated_evaluator import check
from tests.fitness.evaluation.test_evaluator import crossed_masks
from tests.models.support.compensation_cases import folded_by_hand
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import filled

NORMALISATION = Normalisation((0.4, 0.5), (0.3, 0.2))
RESNET = ResNetArchitecture("tiny", (5, 6), ((4,), (3,)), 3, (8, 8, 2))
KINDS = {
    "vgg": VGGArchitecture("any", ((5,), (6,)), (7,), 3, (8, 8, 2), batch_norm=True),
    "vgg, three layers": VGGArchitecture("any", ((5, 6), (4,)), (), 3, (8, 8, 2), batch_norm=True),
    "resnet": RESNET,
    "resnet, copied": ResNetArchitecture("copied", (4, 8), ((4,), (3,)), 3, (8, 8, 2), shortcuts="around"),
}
IMAGES = np.random.default_rng(8).integers(0, 256, (61, 8, 8, 2), dtype=np.uint8)
LABELS = np.random.default_rng(9).integers(0, 3, 50).astype(np.int32)
DATA = IMAGES[:50], LABELS


def problem(kind):
    """A model that answers all classes, and the layout of its masks."""
    network = filled(KINDS[kind], 1)
    arrays = arrays_of(network)
    answers = defined(network, IMAGES, NORMALISATION)
    set_arrays(network, arrays | {"logits.dense.bias": arrays["logits.dense.bias"] - answers.mean(0)})
    model = Model(network, NORMALISATION, ("a", "b", "c"))
    return model, Genome.of(network, "all").layout


def compensation_of(model, layout, method="linear+recalibrate"):
    products = {}
    if method != "recalibrate":
        products = gather_moments(model.network, NORMALISATION, IMAGES, layout.names)
    return Compensation(method, products, Calibration.of(model.network, IMAGES[37:], NORMALISATION))


CASES = [
    pytest.param("vgg", Compaction(3, spacing=1), id="vgg"),
    pytest.param("resnet, copied", Compaction(3, spacing=1), id="resnet, copied", marks=pytest.mark.slow),
    pytest.param("resnet", WHOLE, id="resnet", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "compaction"), CASES)
def test_counts_are_those_of_each_network_folded_and_recalibrated(
    kind, compaction, quick_compilation, lowered_as_wide
):
    model, layout = problem(kind)
    method = "recalibrate" if compaction is WHOLE else "linear+recalibrate"
    compensation = compensation_of(model, layout, method)
    counter = MaskedCounter(
        model.network, NORMALISATION, layout, compaction=compaction, compensation=compensation
    )

    def of_mask(keeps, inputs):
        changed = model.network.architecture.blank()
        folding = compensation.regression is not None
        arrays = folded_by_hand(model.network, keeps, compensation) if folding else arrays_of(model.network)
        set_arrays(changed, arrays)
        return defined(prune(recalibrated(changed, keeps, compensation.calibration), keeps), np.asarray(inputs))

    check(counter, NORMALISATION, DATA, crossed_masks(layout, 3, 0), of_mask)


@pytest.fixture(scope="module")
def tiny():
    """Model, layout, compensation, and masks that share prefixes, the full mask first."""
    model, layout = problem("resnet")
    early = np.isin(np.arange(layout.n_filters), [1, 6, 8]), np.isin(np.arange(layout.n_filters), [2, 3, 7])
    late = np.isin(np.arange(layout.n_filters), [10, 14]), np.isin(np.arange(layout.n_filters), [11, 15, 17])
    masks = np.stack([layout.full(), *(~(first | second) for first in early for second in late)])
    return model, layout, compensation_of(model, layout), masks


def counts(model, layout, masks, compensation, batch=16):
    return LocalEvaluator(model, layout, *DATA, batch, compensation=compensation).evaluate(masks).tolist()


def test_counts_do_not_depend_on_company_or_order(tiny):
    model, layout, compensation, masks = tiny
    together = counts(model, layout, masks, compensation)
    evaluator = LocalEvaluator(model, layout, *DATA, 16, compensation=compensation)
    assert [int(evaluator.evaluate(mask[None])[0]) for mask in masks[::-1]] == together[::-1]
    order = np.random.default_rng(0).permutation(len(masks))
    assert evaluator.evaluate(masks[order]).tolist() == [together[place] for place in order]
    assert together != counts(model, layout, masks, Compensation("linear", compensation.products))
    assert len(set(together)) > 1


def test_the_full_mask_counts_as_the_network(tiny):
    model, layout, compensation, masks = tiny
    full = masks[:1]
    assert counts(model, layout, full, compensation) == counts(model, layout, full, None)
    counter = MaskedCounter(model.network, NORMALISATION, layout, compensation=compensation)
    assert counter.stages.measured(layout.full()) == [()] * len(counter.stages.chain)


def test_statistics_are_the_same_to_the_bit_whatever_was_measured_before(tiny):
    model, layout, compensation, masks = tiny

    def found(counter, rows):
        counter.count(counter.place(Batches.of(*DATA, 25)), masks[rows])
        known = counter._statistics._known
        return {
            key: {path: np.asarray(part).tobytes() for path, part in each.items()} for key, each in known.items()
        }

    together = found(MaskedCounter(model.network, NORMALISATION, layout, compensation=compensation), slice(None))
    counter = MaskedCounter(model.network, NORMALISATION, layout, compensation=compensation)
    for row in (3, 1):
        alone = found(counter, slice(row, row + 1))
    assert alone.keys() < together.keys()
    assert all(together[key] == each for key, each in alone.items())


def test_statistics_are_measured_once_for_all_batches(tiny, monkeypatch):
    model, layout, compensation, masks = tiny
    ran = []

    def watched(program, *arguments):
        if program is programs.calibrate:
            ran.append(arguments[0])
        return program(*arguments)

    monkeypatch.setattr(programs, "call", watched)
    counter = MaskedCounter(model.network, NORMALISATION, layout, compensation=compensation)
    placed = counter.place(Batches.of(*DATA, 5))
    first = counter.count(placed[:3], masks)
    nodes = len(ran)
    assert 0 < nodes <= len(masks) * (len(counter.stages.chain) - 1)
    monkeypatch.setattr("fitness.evaluation.tree.statistics.CACHED_BYTES", 0)
    np.testing.assert_array_equal(counter.count(placed[:3], masks), first)
    assert len(ran) == nodes
    counter.count(placed[:1], masks[:2])
    assert len(ran) == nodes
    assert len(counter._statistics._known) < nodes
    np.testing.assert_array_equal(counter.count(placed[:3], masks), first)
    assert len(ran) > nodes


def test_a_worker_of_another_process_counts_as_one_of_this_process(tiny):
    model, layout, compensation, masks = tiny
    plan = pickle.loads(pickle.dumps(blueprint(model, layout, "float32", compensation)))  # noqa: S301
    there, here = from_blueprint(plan), local_worker(model, layout, "float32", compensation)
    shards, request = Batches.of(*DATA, 10).shards(2), Request("count", layout.pack(masks))
    answers = [worker(number, shards[number], request) for number, worker in ((0, there), (1, here))]
    assert np.sum(answers, axis=0)[0].tolist() == counts(model, layout, masks, compensation, 10)


def test_a_removed_filter_that_yields_nan_leaves_no_trace(tiny):
    model, layout, _, masks = tiny
    compensation = compensation_of(model, layout, "recalibrate")
    arrays = {path: array.copy() for path, array in arrays_of(model.network).items()}
    arrays["stage1.convolution.kernel"][..., 1] = np.nan
    arrays["unit2_1.first.norm.bias"][-1] = np.inf
    broken = filled(RESNET)
    set_arrays(broken, arrays)
    keep = layout.split(masks)
    keep["stage1"][:, 1] = False
    keep["unit2_1"][:, -1] = False
    without = np.concatenate([keep[name] for name in layout.names], axis=1)
    expected = counts(model, layout, without, compensation)
    assert min(expected) >= 0
    assert counts(Model(broken, NORMALISATION, model.classes), layout, without, compensation) == expected


@pytest.mark.slow
def test_half_precision_measures_in_float32(tiny):
    model, layout, compensation, masks = tiny
    counter = MaskedCounter(
        model.network, NORMALISATION, layout, compensation=compensation, precision=jnp.bfloat16
    )
    found = counter.count(counter.place(Batches.of(*DATA, 25)), masks)
    assert not found[1].any()
    assert all(part.dtype == np.float32 for each in counter._statistics._known.values() for part in each.values())
