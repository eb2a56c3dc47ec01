"""How far beyond the threshold a search goes: every mask of a generation is scored by that generation's reach."""

import numpy as np
import pytest

from experiments.runs.finish.finish import Finish
from experiments.runs.saved import SavedRun
from experiments.runs.search import resume_search, start_search
from fitness.objective.cost import CostObjective
from tests.support.runs import Listening, options_for

REACHES = (95.0, 20.0, 60.0, 30.0)
"""The reach of each generation after the first; the threshold is 20."""


class Generations(Listening):
    def __init__(self):
        super().__init__()
        self.states = []

    def generation(self, state, total):
        self.states.append(state)


@pytest.fixture
def taught(monkeypatch):
    """The finish learns ``REACHES``, whatever a refit gives back."""
    monkeypatch.setattr(Finish, "reach", lambda finish, state: REACHES[state.generation])


def test_masks_are_scored_by_the_reach_of_their_generation(tiny_directory, tiny_data, tmp_path, taught):
    """Masks that an earlier reach rewarded, and a later one does not, would breed for good."""
    options = options_for(tiny_directory, tiny_data, generations=2, finish=True)
    heard = Generations()
    start_search(tmp_path / "run", options, reporter=heard)
    resume_search(tmp_path / "run", generations=len(REACHES), reporter=heard)

    problem = SavedRun.open(tmp_path / "run").problem
    seen = set()
    for state in heard.states:
        if state.generation > 0:
            assert state.reach == REACHES[state.generation - 1]
        objective = CostObjective(problem.genome, options.threshold, reach=state.reach)
        population = state.population
        masks, counts = (
            np.stack([each.mask for each in population]),
            np.array([each.correct for each in population]),
        )
        scores = objective.appraise(masks, counts, state.original_correct).score
        np.testing.assert_array_equal([each.score for each in population], scores)
        seen |= {each.score < 0 for each in population}
    assert seen == {True, False}
