"""Counts of compensated masks of imported networks: those of the same network of ours, and of the exported file."""

import jax.numpy as jnp
import numpy as np
import pytest

from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.genome import Genome
from models.compensation.folding import compensated
from models.compensation.method import Compensation
from models.compensation.moments import gather_moments
from models.compensation.recalibration import Calibration, recalibrated
from models.export.onnx import ONNX
from models.model_directory import Model
from models.normalisation import Normalisation
from models.pruning import prune
from tests.fitness.evaluation.test_evaluator import crossed_masks
from tests.models.support.imported_pairs import NORMALISATION, images, pair
from tests.models.support.own_networks import built
from tests.models.support.small_networks import logits


def counts_of(counter, placed, genome, names, keeps):
    """Counts of masks of ours, given by group."""
    masks = np.stack([np.concatenate([keep[names[group]] for group in genome.layout.names]) for keep in keeps])
    return counter.count(placed, masks)


@pytest.mark.parametrize(
    ("kind", "method", "compaction"),
    [
        ("vgg", "mean", WHOLE),
        ("vgg-batch-norm", "merge", WHOLE),
        pytest.param("resnet", "linear", Compaction(2, spacing=2), marks=pytest.mark.slow),
    ],
)
def test_counts_are_those_of_the_same_network_of_ours(kind, method, compaction, quick_compilation, tmp_path):
    pytest.importorskip("onnx")
    ours, imported, names = pair(kind, tmp_path)
    back = {theirs: mine for mine, theirs in names.items()}
    shown = images(40)
    labels = np.random.default_rng(0).integers(0, 3, 40).astype(np.int32)
    mine = Genome.of(ours.network, "all")
    masks = crossed_masks(mine.layout, 3, 0)
    keeps = [mine.layout.split(mask) for mask in masks]
    found = []
    for model, named in ((ours, {name: name for name in names}), (imported, back)):
        genome = Genome.of(model.network, "all")
        compensation = Compensation(
            method, gather_moments(model.network, NORMALISATION, shown, genome.layout.names)
        )
        counter = MaskedCounter(
            model.network, NORMALISATION, genome.layout, compaction=compaction, compensation=compensation
        )
        placed = counter.place(Batches.of(shown, labels, 20))
        found.append(counts_of(counter, placed, genome, named, keeps))
    np.testing.assert_array_equal(*found)
    theirs = {names[group]: keep for group, keep in keeps[0].items()}
    smaller = prune(compensated(imported.network, theirs, compensation), theirs)
    predicted = np.argmax(logits(smaller, NORMALISATION(jnp.asarray(shown))), axis=-1)
    assert np.count_nonzero(predicted == labels) == found[1][0, 0]
    (tmp_path / "model.onnx").write_bytes(ONNX().files(Model(smaller, NORMALISATION, ours.classes))["model.onnx"])
    runtime = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "model.onnx")
    inputs = np.asarray(NORMALISATION(shown.astype(np.float32)), np.float32)
    [answers] = runtime.run(None, {runtime.get_inputs()[0].name: inputs})
    np.testing.assert_array_equal(np.argmax(answers, axis=-1), predicted)


@pytest.mark.parametrize("method", [pytest.param("recalibrate", marks=pytest.mark.slow), "linear+recalibrate"])
def test_counts_of_a_network_of_ones_own_are_those_of_the_recalibrated_network(method, quick_compilation):
    network, rng = built("ResNet"), np.random.default_rng(2)
    shown = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 5, 40).astype(np.int32)
    normalisation = Normalisation((0.4, 0.5, 0.6), (0.3, 0.2, 0.25))
    genome = Genome.of(network, "all")
    products = gather_moments(network, normalisation, shown, genome.layout.names) if "linear" in method else {}
    compensation = Compensation(method, products, Calibration.of(network, shown[40:], normalisation))
    masks = crossed_masks(genome.layout, 2, 0)
    counter = MaskedCounter(
        network, normalisation, genome.layout, compaction=Compaction(2, spacing=2), compensation=compensation
    )
    counts = counter.count(counter.place(Batches.of(shown[:40], labels, 20)), masks)
    inputs = normalisation(jnp.asarray(shown[:40]))
    for mask, correct in zip(masks, counts[0], strict=True):
        keeps = genome.layout.split(mask)
        changed = compensated(network, keeps, compensation) if products else network
        smaller = prune(recalibrated(changed, keeps, compensation.calibration), keeps)
        assert np.count_nonzero(np.argmax(logits(smaller, inputs), axis=-1) == labels) == correct
