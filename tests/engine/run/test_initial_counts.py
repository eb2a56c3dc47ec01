"""Generation 0 interrupted: counts so far are kept, and no mask is evaluated twice."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save as serialise_safetensors

from engine.contracts import FAILED, STOPPED
from engine.run import initial_counts
from engine.run.codec import encode
from engine.run.directory import RunDirectory
from engine.run.sealed import seal
from tests.engine.support.kill_points import Asking
from tests.engine.support.synthetic import LAYOUT, WeightedBits, make_search


class Stopped(BaseException):
    """Stands for the death of the process."""


class Limited(WeightedBits):
    """Stops after a number of calls."""

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
    return RunDirectory.create(tmp_path / "run", {"images": WeightedBits.total})


def started(run, evaluator, warn=pytest.fail):
    counted = run.initial_counts(LAYOUT, "id", warn)
    search = make_search(evaluator, founders=Asking())
    return search.start(counted, lambda archive: run.record_initial_counts(archive, "id"))


@pytest.mark.parametrize("poison", [False, True])
@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_an_interrupted_generation_0_goes_on_where_it_was(run, calls, poison):
    whole = make_search(WeightedBits(poison), founders=Asking()).start()
    first, second = Limited(calls, poison=poison), WeightedBits(poison)
    with pytest.raises(Stopped):
        started(run, first)
    assert run.store.exists(initial_counts.NAME) == (calls > 0)
    state = started(run, second)
    assert encode(state, LAYOUT, "id") == encode(whole, LAYOUT, "id")
    seen = first.seen + second.seen
    assert len(seen) == len(set(seen)) == whole.evaluations
    run.record(state, LAYOUT, "id", {})
    assert not run.store.exists(initial_counts.NAME)


def test_a_failed_mask_is_kept_as_failed(run):
    mask = np.ones((1, LAYOUT.n_filters), bool)
    archive = run.initial_counts(LAYOUT, "id", pytest.fail)
    archive.add(mask, np.array([FAILED]))
    run.record_initial_counts(archive, "id")
    assert run.initial_counts(LAYOUT, "id", pytest.fail).look_up(mask).tolist() == [FAILED]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another run", "sealed nonsense"])
def test_unusable_counts_are_reported_and_evaluated_again(run, damage):
    with pytest.raises(Stopped):
        started(run, Limited(2))
    content = run.store.read(initial_counts.NAME)
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    damaged = {
        "cut": content[:90],
        "flipped": flipped,
        "empty": b"",
        "sealed nonsense": seal(initial_counts.MAGIC, b"no safetensors"),
    }
    run.store.write(initial_counts.NAME, damaged.get(damage, content))
    told = []
    found = run.initial_counts(LAYOUT, "other" if damage == "another run" else "id", told.append)
    assert len(found) == 0
    (sentence,) = told
    reasons = {"another run": "it belongs to another run", "sealed nonsense": ""}
    assert reasons.get(damage, "its checksum does not match") in sentence
    assert "initial.ckpt cannot be used" in sentence


def forge(run, masks, correct):
    """Write forged counts with a matching checksum."""
    content = serialise_safetensors(
        {"archive_masks": masks, "archive_correct": correct}, metadata={"identity": "id"}
    )
    run.store.write(initial_counts.NAME, seal(initial_counts.MAGIC, content))


def packed(*masks):
    return np.array([[0xFF, 0xFF, mask << 4] for mask in masks], np.uint8)


WHOLE, COUNTS = packed(1, 2, 3), np.array([900, 0, FAILED])
FORGED = {
    "counts above the images": (WHOLE, np.array([1, 2, 1001]), "no evaluation of the run's images"),
    "a stopped mask": (WHOLE, np.array([1, 2, STOPPED]), "no evaluation of the run's images"),
    "a count below all": (WHOLE, np.array([1, 2, -3]), "the count -3"),
    "counts of fractions": (WHOLE, np.array([1, 2, np.inf]), "archive_correct is float64[3], not int64[3]"),
    "counts of 32 bits": (WHOLE, COUNTS.astype(np.int32), "archive_correct is int32[3]"),
    "fewer counts": (WHOLE, COUNTS[:2], "archive_correct is int64[2]"),
    "counts in a table": (WHOLE, COUNTS[None], "archive_correct is int64[1, 3]"),
    "one number": (WHOLE, np.array(5), "archive_correct is int64[]"),
    "narrower masks": (WHOLE[:, :2].copy(), COUNTS, "archive_masks is uint8[3, 2], not uint8[n, 3]"),
    "wider masks": (np.pad(WHOLE, ((0, 0), (0, 1))), COUNTS, "archive_masks is uint8[3, 4]"),
    "masks in a row": (WHOLE.ravel(), COUNTS, "archive_masks is uint8[9]"),
    "masks of another type": (WHOLE.astype(np.int8), COUNTS, "archive_masks is int8[3, 3]"),
    "bits behind the last filter": (WHOLE | np.uint8(1), COUNTS, "bits behind the last filter"),
    "a mask twice": (packed(1, 2, 1), COUNTS, "a mask twice"),
}


@pytest.mark.parametrize(("masks", "correct", "reason"), FORGED.values(), ids=FORGED)
def test_forged_counts_are_refused(run, masks, correct, reason):
    forge(run, WHOLE, COUNTS)
    assert len(run.initial_counts(LAYOUT, "id", pytest.fail)) == 3
    forge(run, masks, correct)
    told = []
    assert len(run.initial_counts(LAYOUT, "id", told.append)) == 0
    (sentence,) = told
    assert reason in sentence


@given(
    arrays(np.uint8, st.tuples(st.integers(0, 3), st.integers(2, 4)), elements=st.sampled_from([0, 16, 255, 1])),
    st.lists(st.integers(-3, 1) | st.integers(999, 1002) | st.just(2**62), min_size=3, max_size=3),
    st.sampled_from([1000, None]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_possible_counts_are_accepted(run, masks, counts, images):
    run.write_description({} if images is None else {"images": images})
    counts = counts[: len(masks)]
    forge(run, masks, np.array(counts, np.int64))
    told = []
    found = run.initial_counts(LAYOUT, "id", told.append)
    rows = masks.tolist()
    possible = all(-1 <= count <= (images or count) for count in counts)
    distinct = len({tuple(row) for row in rows}) == len(rows)
    if possible and distinct and masks.shape[1] == 3 and all(row[2] % 16 == 0 for row in rows):
        assert told == []
        bits = [[int(bit) for byte in row for bit in f"{byte:08b}"][:20] for row in rows]
        assert len(found) == len(rows)
        assert found.look_up(np.array(bits, bool).reshape(-1, 20)).tolist() == counts
    else:
        assert len(found) == 0
        assert len(told) == 1


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2", "BOOL", "U64", "F16", "F64", "I4", "C64"])
def test_arrays_of_any_type_are_passed_over(run, dtype):
    entry = {"dtype": dtype, "shape": [1, 3], "data_offsets": [0, 3]}
    pass_over(
        run, {"__metadata__": {"identity": "id"}, "archive_masks": entry, "archive_correct": entry}, b"\0" * 3
    )


@pytest.mark.parametrize("found", [[], None, 5, {}, {"identity": 5}, {"identity": ["id"]}, "id"], ids=repr)
def test_metadata_of_any_kind_are_passed_over(run, found):
    pass_over(run, {"__metadata__": found})


def test_metadata_of_endless_depth_are_passed_over(run):
    pass_over(run, '{"__metadata__":' + "[" * 100_000 + "]" * 100_000 + "}")


def pass_over(run, header, data=b""):
    """A payload with this header is reported and ignored."""
    content = (header if isinstance(header, str) else json.dumps(header)).encode()
    run.store.write(
        initial_counts.NAME, seal(initial_counts.MAGIC, len(content).to_bytes(8, "little") + content + data)
    )
    told = []
    assert len(run.initial_counts(LAYOUT, "id", told.append)) == 0
    assert len(told) == 1


def test_resuming_from_a_checkpoint_removes_the_initial_counts(run):
    with pytest.raises(Stopped):
        started(run, Limited(2))
    left = run.store.read(initial_counts.NAME)
    run.record(started(run, WeightedBits()), LAYOUT, "id", {})
    run.store.write(initial_counts.NAME, left)
    run.rewind(run.latest(pytest.fail), pytest.fail)
    assert not run.store.exists(initial_counts.NAME)
