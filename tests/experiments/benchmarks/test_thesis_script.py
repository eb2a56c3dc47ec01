"""The script that whole searches are timed against: its counts, costs and scores are those of evoprune."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fitness.evaluation.evaluator import LocalEvaluator
from fitness.objective.cost import CostObjective

torch = pytest.importorskip("torch", reason="the script is written in PyTorch")

from experiments.benchmarks.rivals import thesis_script  # noqa: E402


@pytest.fixture
def arrays(tiny_images, tmp_path):
    images, labels = tiny_images
    path = tmp_path / "images.npz"
    np.savez(path, images=images, labels=labels, test_images=images, test_labels=labels)
    return path


def test_counts_parameters_and_scores_agree(tiny_model, tiny_directory, tiny_images, tiny_genome):
    images, labels = tiny_images
    rng = np.random.default_rng(0)
    masks = rng.random((20, tiny_genome.layout.n_filters)) < np.linspace(1, 0.4, 20)[:, None]
    masks = masks[~tiny_genome.layout.empties(masks).any(axis=1)]
    counts = LocalEvaluator(tiny_model, tiny_genome.layout, images, labels).evaluate(masks)
    original, objective = int(counts[0]), CostObjective(tiny_genome)
    appraisal = objective.appraise(masks, counts, original)
    network = thesis_script.VGG(tiny_directory)
    batches = thesis_script.batches_of(images, labels)
    most = network.parameters(masks[0])
    for mask, count, score in zip(masks, counts, appraisal.score, strict=True):
        assert network.correct(mask, batches) == count
        drops = 100 * (original - count) / original, 100 * (most - network.parameters(mask)) / most
        assert thesis_script.score(*drops) == pytest.approx(score)


def test_a_search_finds_masks_within_the_threshold(tiny_directory, arrays):
    command = [sys.executable, "-m", "experiments.benchmarks.rivals.thesis_script", tiny_directory, arrays]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["correct"] > 0.98 * found["original"]
    assert 1 < found["evaluations"] <= 50 + 8 * 20
    assert found["test"] == [found["original"], found["correct"]]
