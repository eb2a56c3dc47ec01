"""Forged checkpoints with a matching checksum: states that no search can reach are reported."""

import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.contracts import FAILED, STOPPED
from engine.errors import CheckpointError
from engine.run import checkpoint
from engine.run.codec import decode, encode, metadata
from engine.run.directory import RunDirectory
from engine.run.journal import journal_row
from engine.run.sealed import seal
from engine.search.state import SearchState
from engine.stores.locations import open_store
from tests.engine.search.test_ancestry import TwoKinds
from tests.engine.support.synthetic import LAYOUT, RemovedParts, WeightedBits, advance, make_search

SEARCHES = {
    "plain": lambda: make_search(WeightedBits(poison=True), initial_removal=0.5, population_cap=12),
    "seeded islands": lambda: make_search(founders=TwoKinds(), islands=2, migrate_every=2),
    "front": lambda: make_search(objective=RemovedParts(), front=True),
}
NAME = "checkpoints/generation-00000003.ckpt"


@pytest.fixture(scope="module")
def contents():
    """Arrays and header of generation 3 of each search."""
    found = {}
    for kind, make in SEARCHES.items():
        search = make()
        payload = encode(advance(search, search.start(), 3), LAYOUT, "id")
        found[kind] = parse_safetensors(payload), json.loads(metadata(payload)["state"])
    return found


def read(arrays, header, images=math.inf):
    """Read a checkpoint with these contents."""
    store = open_store("memory://state-checks/run")
    payload = serialise_safetensors(arrays, metadata={"state": json.dumps(header)})
    store.write(NAME, seal(checkpoint.MAGIC, payload))
    return checkpoint.read(store, NAME, images)


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("images", [WeightedBits.total, 900, math.inf])
def test_the_state_of_a_search_is_read_back(contents, kind, images):
    arrays, header = contents[kind]
    found = read(arrays, header, images)
    assert encode(found.state, LAYOUT, "id") == serialise_safetensors(
        arrays, metadata={"state": json.dumps(header)}
    )


def test_the_searches_have_failed_and_stopped_masks(contents):
    counts = contents["plain"][0]["archive_correct"]
    assert {FAILED, STOPPED} < set(counts.tolist())


def changed(name, change):
    """Replace an array by a changed copy."""

    def apply(arrays, header):
        array = arrays[name].copy()
        result = change(array)
        arrays[name] = array if result is None else result

    return apply


def put(place, value):
    """Change one element."""
    return lambda array: array.__setitem__(place, value)


def told(**values):
    """Change entries of the header."""
    return lambda arrays, header: header.update(values)


def told_of_best(**values):
    return lambda arrays, header: header["best"].update(values)


def recounted(arrays, header, row, count):
    """Change a count in the archive, and the counters to match."""
    arrays["archive_correct"] = arrays["archive_correct"].copy()
    arrays["archive_correct"][row] = count
    header["failures"] = int((arrays["archive_correct"] == FAILED).sum())
    header["stopped"] = int((arrays["archive_correct"] == STOPPED).sum())


def first_stopped(arrays):
    """The row of a mask that is in no population."""
    return np.flatnonzero(arrays["archive_correct"] == STOPPED)[0]


def islands_of(*sizes):
    def apply(arrays, header):
        header["islands"] = [{**header["islands"][0], "population": size} for size in sizes]

    return apply


def nobody(arrays, header):
    for name in ("population_masks", "population_correct", "population_scores"):
        arrays[name] = arrays[name][:0]
    header["islands"][0]["population"] = 0


def emptied(masks):
    """Packed masks without the filter that is layer "two"."""
    return masks & np.packbits(np.arange(LAYOUT.n_filters) != 5)


def ancestry(change):
    return lambda arrays, header: change(header["best"]["ancestry"])


def as_type(dtype):
    return lambda array: array.astype(dtype)


def narrower(array):
    return array[..., :-1].copy()


def wider(array):
    return np.concatenate([array, array[..., -1:]], axis=-1)


FORGED = {
    "plain": {
        "no archive": (lambda arrays, header: arrays.pop("archive_masks"), "archive_masks"),
        "archive of narrower masks": (changed("archive_masks", narrower), "archive_masks is uint8"),
        "archive of wider masks": (changed("archive_masks", wider), "archive_masks is uint8"),
        "archive with a mask twice": (changed("archive_masks", lambda a: put(1, a[0])(a)), "a mask twice"),
        "archive with bits behind": (changed("archive_masks", lambda a: a | 1), "behind the last filter"),
        "fewer counts": (changed("archive_correct", lambda a: a[1:].copy()), "archive_correct is int64"),
        "counts of fractions": (changed("archive_correct", as_type(float)), "archive_correct is float64"),
        "a count below all": (changed("archive_correct", put(3, -7)), "the count -7"),
        "a count above the images": (
            lambda arrays, header: recounted(arrays, header, first_stopped(arrays), 1001),
            "counts above the 1000 images",
        ),
        "another count of the original": (changed("archive_correct", put(0, 800)), "another count than in"),
        "more evaluations": (told(evaluations=10**30), "evaluations, failures and stopped"),
        "fewer failures": (told(failures=0), "evaluations, failures and stopped"),
        "fewer stopped": (told(stopped=0), "evaluations, failures and stopped"),
        "failures of logic": (told(failures=True), "failures is True"),
        "original without images": (told(original_correct=0), "another count than in"),
        "original without end": (told(original_correct=10**400), "another count than in"),
        "original that failed": (
            lambda arrays, header: (
                recounted(arrays, header, 0, FAILED),
                changed("population_correct", lambda a: np.where(a == 900, FAILED, a))(arrays, header),
                header.update(original_correct=FAILED),
            ),
            "has no count",
        ),
        "population of narrower masks": (changed("population_masks", narrower), "population_masks is uint8"),
        "population that lost all": (changed("population_masks", lambda a: a * 0), "every filter of a layer"),
        "population that lost a layer": (changed("population_masks", emptied), "every filter of a layer"),
        "population never evaluated": (
            changed("population_masks", lambda a: put(0, np.packbits(np.arange(20) % 2 == 1))(a)),
            "another count than in",
        ),
        "population of other counts": (changed("population_correct", put(0, 1)), "another count than in"),
        "population of small counts": (changed("population_correct", as_type(np.int32)), "is int32"),
        "a score of NaN": (changed("population_scores", put(2, np.nan)), "score of its population"),
        "a score of infinity": (changed("population_scores", put(2, np.inf)), "score of its population"),
        "scores in a table": (changed("population_scores", lambda a: a[:, None].copy()), "population_scores is"),
        "fewer scores": (changed("population_scores", narrower), "population_scores is float64"),
        "scores of 32 bits": (changed("population_scores", as_type(np.float32)), "is float32"),
        "nobody": (nobody, "one is empty"),
        "islands of none": (islands_of(12, 0), "one is empty"),
        "islands below none": (islands_of(17, -5), "one is empty"),
        "islands of fractions": (islands_of(12.0), "one is empty"),
        "best of NaN": (told_of_best(score=math.nan), "BEST is not finite"),
        "best of infinity": (told_of_best(score=-math.inf), "BEST is not finite"),
        "best of text": (told_of_best(score="20"), "count and the score of BEST"),
        "best with another count": (told_of_best(correct=1), "another count than in"),
        "best with a count of text": (told_of_best(correct="900"), "count and the score of BEST"),
        "a figure of NaN": (told_of_best(figures={"accuracy_drop": math.nan}), "BEST is not finite"),
        "best without filters": (changed("best_mask", lambda a: a * 0), "every filter of a layer"),
        "best without a layer": (changed("best_mask", emptied), "every filter of a layer"),
        "best of narrower masks": (changed("best_mask", narrower), "best_mask is uint8"),
        "best of many masks": (changed("best_mask", lambda a: a[None]), "best_mask is uint8"),
    },
    "seeded islands": {
        "origins of fewer": (changed("population_origins", lambda a: a[:, 1:].copy()), "population_origins is"),
        "origins of narrower": (changed("population_origins", narrower), "population_origins is"),
        "origins of fewer digits": (changed("population_origins", lambda a: a[:1]), "population_origins is"),
        "origins unknown": (changed("population_origins", lambda a: a | 255), "unknown origin"),
        "an ancestry below none": (
            ancestry(lambda a: a.update(near=-1, third=a["third"] + 1)),
            "does not add up",
        ),
        "an ancestry of more": (ancestry(lambda a: a.update(near=10**30)), "does not add up"),
    },
    "front": {
        "values of fewer": (changed("population_values", lambda a: a[1:].copy()), "population_values is"),
        "values of none": (changed("population_values", lambda a: a[:, :0]), "values that cannot be compared"),
        "a value of NaN": (changed("population_values", put(0, np.nan)), "values that cannot be compared"),
        "an excess of NaN": (changed("population_excess", put(0, np.nan)), "values that cannot be compared"),
        "an excess below none": (changed("population_excess", put(0, -1)), "values that cannot be compared"),
        "excess of fewer": (changed("population_excess", narrower), "population_excess is"),
        "rows of fractions": (changed("front_rows", as_type(float)), "front_rows is float64"),
        "rows of other masks": (changed("front_rows", lambda a: a[::-1].copy()), "other counts than its archive"),
        "rows beyond": (changed("front_rows", put(0, 10**6)), "masks that the archive lacks"),
        "rows below": (changed("front_rows", put(0, -1)), "masks that the archive lacks"),
        "values for fewer aims": (changed("front_values", narrower), "front_values is"),
        "values of another front": (changed("front_values", lambda a: a[1:].copy()), "front_values is"),
        "a front of NaN": (changed("front_values", put(0, np.nan)), "not one finite number"),
        "a figure of infinity": (changed("front_figure_removed", put(0, np.inf)), "not one finite number"),
        "a figure in a table": (
            changed("front_figure_removed", lambda a: a[:, None]),
            "not one finite number",
        ),
        "counts of fractions": (changed("front_figure_correct", as_type(float)), "front_figure_correct is"),
        "no figures": (told(front=[]), "correct"),
        "unknown figures": (told(front=["correct", "beauty"]), "front_figure_beauty"),
    },
}
CASES = [(kind, *case) for kind, cases in FORGED.items() for case in cases.values()]


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    CASES,
    ids=[f"{kind}: {name}" for kind, cases in FORGED.items() for name in cases],
)
def test_an_impossible_state_is_refused(contents, kind, change, reason):
    arrays, header = copy.deepcopy(contents[kind])
    change(arrays, header)
    with pytest.raises(CheckpointError, match="was not written by this version") as said:
        read(arrays, header, WeightedBits.total)
    assert reason in str(said.value)


def test_counts_are_held_to_the_images_that_the_run_began_with(tmp_path):
    """The checkpoint before is used."""
    search = make_search()
    run = RunDirectory.create(tmp_path, {"images": 900})
    run.record(state := search.start(), LAYOUT, "id", {})
    advance(search, state, 3, lambda state: run.record(state, LAYOUT, "id", {}))
    assert run.latest(pytest.fail).state.generation == 3
    newest = checkpoint.list_checkpoints(run.store)[-1]
    payload = run.store.read(newest)[len(checkpoint.MAGIC) + 65 :]
    arrays, header = parse_safetensors(payload), json.loads(metadata(payload)["state"])
    recounted(arrays, header, first_stopped(arrays), 901)
    forged = serialise_safetensors(arrays, metadata={"state": json.dumps(header)})
    run.store.write(newest, seal(checkpoint.MAGIC, forged))
    said = []
    assert run.latest(said.append).state.generation == 2
    [sentence] = said
    assert "counts above the 900 images" in sentence
    run.write_description({})
    assert run.latest(pytest.fail).state.generation == 3


def leaves(entry, path=()):
    """Paths of all values in nested dictionaries and lists, including the containers."""
    items = entry.items() if isinstance(entry, dict) else enumerate(entry) if isinstance(entry, list) else ()
    return [(*path, key) for key, _ in items] + [
        place for key, each in items for place in leaves(each, (*path, key))
    ]


NUMBERS = st.sampled_from(
    [0, -1, 1, 10**30, 10**400, -(10**400), 0.5, math.nan, math.inf, -math.inf, 2**63, 2**64]
)
ANYTHING = NUMBERS | st.integers(-2, 30) | st.none() | st.booleans() | st.just("900") | st.just([]) | st.just({})


@given(st.sampled_from(list(SEARCHES)), st.data())
@settings(max_examples=300)
def test_any_changed_value_is_refused_or_the_search_goes_on(contents, kind, data):
    arrays, header = copy.deepcopy(contents[kind])
    if data.draw(st.booleans()):
        *path, last = data.draw(st.sampled_from(leaves(header)))
        entry = header
        for key in path:
            entry = entry[key]
        entry[last] = data.draw(ANYTHING)
    else:
        name = data.draw(st.sampled_from(sorted(arrays)))
        array = arrays[name] = arrays[name].copy()
        place = data.draw(st.integers(0, array.size - 1))
        extremes = [-np.inf, np.inf, np.nan, -1.0] if array.dtype == float else [-(2**63), 2**63 - 1, -2, -1]
        if array.dtype == np.uint8:
            extremes = list(range(256))
        array.flat[place] = data.draw(st.sampled_from(extremes))
    try:
        found = read(arrays, header, WeightedBits.total)
    except CheckpointError:
        return
    # What does not belong to the run is refused by who knows the run.
    if (found.layout, found.identity) != (LAYOUT, "id") or (found.state.front is None) != (kind != "front"):
        return
    after = SEARCHES[kind]().step(found.state)
    json.dumps(journal_row(after, 0), allow_nan=False)
    assert isinstance(decode(encode(after, LAYOUT, "id"))[0], SearchState)
