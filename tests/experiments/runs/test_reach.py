"""How far beyond the threshold a search goes: every mask of a generation is scored by that generation's reach."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.runs.finish.finish import Finish
from experiments.runs.saved import SavedRun
from experiments.runs.search import resume_search, start_search
from fitness.objective.cost import CostObjective
from tests.support.runs import SETTINGS, Listening, options_for

REACHES = (95.0, 20.0, 60.0, 30.0)
"""The reach of each generation after the first; the threshold is 20."""


class Generations(Listening):
    """Keeps the states of a search, and the archive as it was, which later generations add to."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def generation(self, state, total):
        self.heard.append((state, *state.archive.to_arrays()))


@pytest.fixture
def taught(monkeypatch):
    """The finish learns ``REACHES``, whatever a refit gives back."""
    monkeypatch.setattr(Finish, "reach", lambda finish, state: REACHES[state.generation])


def test_masks_are_scored_by_the_reach_of_their_generation(tiny_directory, tiny_data, tmp_path, taught):
    """Masks that an earlier reach rewarded, and a later one does not, would breed for good."""
    settings = replace(SETTINGS, population_cap=4, initial_removal=0.3)
    options = options_for(tiny_directory, tiny_data, generations=2, finish=True, settings=settings)
    reporter = Generations()
    start_search(tmp_path / "run", options, reporter=reporter)
    resume_search(tmp_path / "run", generations=len(REACHES), reporter=reporter)

    problem = SavedRun.open(tmp_path / "run").problem
    best = []
    for state, packed, counts in reporter.heard:
        if state.generation > 0:
            assert state.reach == REACHES[state.generation - 1]
        objective = CostObjective(problem.genome, options.threshold, reach=state.reach)

        def scores(masks, correct, objective=objective, original_correct=state.original_correct):
            return objective.appraise(masks, correct, original_correct).score

        found = np.array([each.score for each in state.population])
        members = np.stack([each.mask for each in state.population])
        correct = np.array([each.correct for each in state.population])
        np.testing.assert_array_equal(found, scores(members, correct))
        # No mask that was evaluated is better, whatever an earlier reach made of it.
        finished = counts >= 0
        known = scores(problem.genome.layout.unpack(packed[finished]), counts[finished])
        assert found.max() == known.max()
        best.append(found.max())
    # A smaller reach took the best masks away.
    assert best != sorted(best)
