"""Generation 0 stopped while founders still ask: what they were told is kept, and nothing is evaluated twice."""

import numpy as np
import pytest

from engine import founding
from engine.contracts import FAILED
from engine.run_directory import RunDirectory
from engine.sealed import seal
from tests.engine.kill_points import Asking
from tests.engine.synthetic import LAYOUT, WeightedBits, make_search


class Stopped(BaseException):
    """As a death."""


class Limited(WeightedBits):
    """Answers so many calls."""

    def __init__(self, calls, **options):
        super().__init__(**options)
        self.calls = calls

    def evaluate(self, masks, target=None):
        if self.calls == 0:
            raise Stopped
        self.calls -= 1
        return super().evaluate(masks, target)


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run", {})


def started(run, evaluator, warn=pytest.fail):
    counted = run.founding(LAYOUT, "id", warn)
    search = make_search(evaluator, founders=Asking())
    return search.start(counted, lambda archive: run.record_founding(archive, "id"))


@pytest.mark.parametrize("poison", [False, True])
@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_a_stopped_beginning_goes_on_where_it_was(run, calls, poison):
    whole = make_search(WeightedBits(poison), founders=Asking()).start()
    first, second = Limited(calls, poison=poison), WeightedBits(poison)
    with pytest.raises(Stopped):
        started(run, first)
    assert run.store.exists(founding.NAME) == (calls > 0)
    state = started(run, second)
    assert state.to_bytes(LAYOUT, "id") == whole.to_bytes(LAYOUT, "id")
    seen = first.seen + second.seen
    assert len(seen) == len(set(seen)) == whole.evaluations
    run.record(state, LAYOUT, "id", {})
    assert not run.store.exists(founding.NAME)


def test_a_failed_mask_is_kept_as_failed(run):
    mask = np.ones((1, LAYOUT.n_filters), bool)
    archive = run.founding(LAYOUT, "id", pytest.fail)
    archive.add(mask, np.array([FAILED]))
    run.record_founding(archive, "id")
    assert run.founding(LAYOUT, "id", pytest.fail).look_up(mask).tolist() == [FAILED]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another run", "sealed nonsense"])
def test_what_cannot_be_used_is_told_and_counted_again(run, damage):
    with pytest.raises(Stopped):
        started(run, Limited(2))
    content = run.store.read(founding.NAME)
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    damaged = {
        "cut": content[:90],
        "flipped": flipped,
        "empty": b"",
        "sealed nonsense": seal(founding.MAGIC, b"no safetensors"),
    }
    run.store.write(founding.NAME, damaged.get(damage, content))
    told = []
    found = run.founding(LAYOUT, "other" if damage == "another run" else "id", told.append)
    assert len(found) == 0
    (sentence,) = told
    reasons = {"another run": "it belongs to another run", "sealed nonsense": ""}
    assert reasons.get(damage, "its checksum does not match") in sentence
    assert "founding.ckpt cannot be used" in sentence


def test_resuming_behind_a_checkpoint_removes_what_a_death_left(run):
    with pytest.raises(Stopped):
        started(run, Limited(2))
    left = run.store.read(founding.NAME)
    run.record(started(run, WeightedBits()), LAYOUT, "id", {})
    run.store.write(founding.NAME, left)
    run.rewind(run.latest(pytest.fail))
    assert not run.store.exists(founding.NAME)
