"""A trained PyTorch VGG-16 on real images, where they are at hand (EVOPRUNE_TEST_SHARED)."""

import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.cli import main
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.genome import Genome
from models.model_directory import Model, load

SHARED = Path(os.environ.get("EVOPRUNE_TEST_SHARED", "/nowhere"))
WEIGHTS = SHARED / "models" / "vgg16_cifar10.safetensors"


SAMPLE = SHARED / "data" / "cifar10-sample"

needs_weights = pytest.mark.skipif(
    not WEIGHTS.exists(), reason="EVOPRUNE_TEST_SHARED does not name a folder with models/"
)


@pytest.mark.slow
@needs_weights
def test_the_imported_network_is_as_accurate_as_in_pytorch(capsys, tmp_path):
    import_weights(tmp_path / "big")
    assert json.loads(capsys.readouterr().out)["parameters"] == 15_245_130
    data = ["--data", "cifar10", "--data-dir", str(SAMPLE)]
    assert main.run(["evaluate", str(tmp_path / "big"), *data, "--images", "500", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    # 86.6% on all 10,000; four standard deviations of a sample of 500 are 6%.
    assert result["total"] == 500
    assert 0.80 < result["accuracy"] < 0.93


@pytest.mark.slow
@needs_weights
def test_a_population_is_predicted_as_each_mask_alone(capsys, tmp_path):
    """All sharing and compaction against the plain masked network in float32, image by image."""
    import_weights(tmp_path / "big")
    model = load(tmp_path / "big")
    genome = Genome.of(model.network)
    images = load_images(DataOptions("cifar10", str(SAMPLE), "test", 128), model)
    plain = plain_predictions(model, images.images)
    evaluator = LocalEvaluator(model, genome.layout, images.images, images.labels)
    compared = differing = 0

    @settings(max_examples=4)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.0, 0.005, 0.2]))
    def check(seed, count, removal):
        nonlocal compared, differing
        masks = relatives(genome.layout, count, removal, seed)
        counts = evaluator.evaluate(masks)
        alone = evaluator.evaluate(masks[:1])
        assert alone[0] == counts[0]
        for mask, counted in zip(masks, counts, strict=True):
            predicted = evaluator.predict(mask)
            assert counted == np.count_nonzero(predicted == images.labels)
            differing += np.count_nonzero(predicted != plain(genome.layout.split(mask)))
            compared += len(predicted)

    check()
    # At most 1 image in 10,000 may differ by rounding; fewer are compared here.
    assert differing <= 1 + compared // 10_000


def import_weights(directory):
    normalisation = ["--mean", "0.4914,0.4822,0.4465", "--std", "0.2470,0.2435,0.2616"]
    assert main.run(["import-torch", str(WEIGHTS), str(directory), *normalisation, "--json"]) == 0


def plain_predictions(model: Model, images):
    """Predicted classes under one mask at a time, by the network as it is trained and stored."""
    graph, state = nnx.split(model.network)
    forward = jax.jit(lambda state, inputs, keeps: jnp.argmax(nnx.merge(graph, state)(inputs, keeps), axis=-1))
    inputs = model.normalisation(jnp.asarray(images))
    return lambda keeps: np.asarray(forward(state, inputs, keeps))


def relatives(layout, count, removal, seed):
    """Masks with duplicates and equal prefixes, as crossing two parents makes them."""
    rng = np.random.default_rng(seed)
    parents = rng.random((2, layout.n_filters)) >= removal
    masks = parents[rng.integers(2, size=count)]
    cut = np.arange(layout.n_filters) < rng.integers(layout.n_filters + 1, size=(count, 1))
    masks = np.where(cut, masks, parents[rng.integers(2, size=count)])
    masks[:, layout.offsets] = True
    return masks
