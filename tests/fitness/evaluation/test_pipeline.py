"""Rounds that are begun ahead end with the counts of rounds one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cluster.tasks.calls import Calls
from engine.contracts import STOPPED, Target
from engine.layout import Layout
from engine.search.stopping import hopeless
from fitness.evaluation import division
from fitness.evaluation.evaluator import ShardedEvaluator

LAYOUT = Layout(("one", "two"), (3, 5))


class Hasty:
    """A runner without a network: mask ``m`` gets image ``i`` right if the label is below the filters it keeps.

    It begins some of the tasks ahead, and answers some of these at once, others when they are carried on.
    """

    def __init__(self, rng):
        self._rng = rng
        self._calls = Calls()
        self.ahead = self.carried = self.work = 0

    def load(self, shards):
        self._shards, self._begun = shards, []

    def run(self, requests, tasks, *, carried=(), ahead=()):
        assert set(carried) <= set(self._begun)
        self._calls.begin(requests, tasks, carried, ahead)
        for task in range(self._calls.awaited):
            self._answer(task)
        later = range(self._calls.awaited, len(self._calls.reads))
        self._begun = [task for task in later if self._rng.random() < 0.6]
        for task in self._begun:
            if self._rng.random() < 0.5:
                self._answer(task)
        self.ahead += len(self._begun)
        self.carried += len(carried)
        return self._calls.ran(self._begun)

    def _answer(self, task):
        request = self._calls.message(task)
        kept = LAYOUT.unpack(request.packed).sum(axis=1)
        labels = self._shards[self._calls.reads[task]].labels.ravel()
        right = (labels[labels >= 0] < kept[:, None]).sum(axis=1)
        self.work += len(kept) * len(labels)
        self._calls.answer(task, np.stack([right, 0 * right]), 1.0)


def evaluated(runner, labels, masks, target, workers):
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    evaluator = ShardedEvaluator(
        runner,
        LAYOUT,
        images,
        labels,
        batch=8,
        precision="float32",
        order="given",
        pauses=True,
        compensation=None,
        workers=workers,
    )
    return evaluator.evaluate(masks, target)


def one_round_after_the_other(labels, masks, target):
    """The counts by their definition."""
    batches = -(-len(labels) // 8)
    counts, sums, seen = np.full(len(masks), STOPPED), np.zeros(len(masks), int), 0
    going = np.flatnonzero(target.needed <= len(labels))
    parts = division.rounds(batches, len(labels), True)
    for part in parts:
        shown = labels[part[0] * 8 : (part[-1] + 1) * 8]
        sums[going] += (shown < masks[going].sum(axis=1)[:, None]).sum(axis=1)
        seen += len(shown)
        if seen < len(labels):
            lost = hopeless(sums[going], seen, len(labels), target.rows(going), len(parts) - 1)
            going = going[~lost]
    counts[going] = sums[going]
    return counts


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 12), st.booleans())
def test_counts_are_those_of_rounds_one_after_the_other(seed, workers, batches, sorted_labels):
    rng = np.random.default_rng(seed)
    masks = rng.random((70, LAYOUT.n_filters)) < 0.7
    labels = rng.integers(0, LAYOUT.n_filters, 8 * batches).astype(np.int32)
    if sorted_labels:
        labels = -np.sort(-labels)
    target = Target(rng.integers(0, len(labels) + 2, len(masks)), np.zeros(len(masks)))
    runner = Hasty(rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(division, "ROUND_IMAGES", 16)
        found = evaluated(runner, labels, masks, target, workers)
        expected = one_round_after_the_other(labels, masks, target)
    np.testing.assert_array_equal(found, expected)
    assert workers > 1 or runner.ahead == 0


def test_masks_that_are_never_stopped_are_counted_once(monkeypatch):
    """Each is counted on each image once, whatever was begun ahead."""
    monkeypatch.setattr(division, "ROUND_IMAGES", 16)
    rng = np.random.default_rng(0)
    masks, labels = rng.random((70, LAYOUT.n_filters)) < 0.7, rng.integers(0, 8, 96).astype(np.int32)
    runner = Hasty(rng)
    found = evaluated(runner, labels, masks, Target(np.zeros(70, int), np.zeros(70)), 3)
    np.testing.assert_array_equal(found, (labels < masks.sum(axis=1)[:, None]).sum(axis=1))
    assert runner.carried == runner.ahead > 0
    assert runner.work == 70 * 96
