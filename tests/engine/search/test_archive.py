import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.contracts import FAILED, STOPPED
from engine.layout import Layout
from engine.search.archive import Archive

LAYOUT = Layout(("a", "b"), (2, 3))
MASKS = st.integers(1, 12).flatmap(lambda n: arrays(bool, (n, 5)))


@given(MASKS, MASKS)
def test_each_mask_is_missing_once(first, second):
    archive = Archive(LAYOUT)
    known = set()
    for masks in (first, second):
        fresh = archive.missing(masks)
        rows = [tuple(row) for row in fresh.tolist()]
        expected = list(dict.fromkeys(tuple(row) for row in masks.tolist() if tuple(row) not in known))
        assert rows == expected
        archive.add(fresh, np.array([int("".join("01"[bit] for bit in row), 2) for row in rows], np.int64))
        known.update(rows)
        counts = archive.look_up(masks)
        assert counts.tolist() == [int("".join("01"[bit] for bit in row), 2) for row in masks.tolist()]
    copy = Archive.from_arrays(LAYOUT, *archive.to_arrays())
    assert len(copy) == len(archive) == len(known)
    np.testing.assert_array_equal(copy.look_up(first), archive.look_up(first))


@given(st.lists(st.sampled_from([STOPPED, FAILED, 0, 7]), max_size=32))
def test_failed_and_stopped_masks_are_counted_and_not_missing(counts):
    archive = Archive(LAYOUT)
    masks = LAYOUT.unpack(np.arange(0, 256, 8, dtype=np.uint8)[:, None])[: len(counts)]
    archive.add(masks, np.array(counts, np.int64))
    assert (archive.failures(), archive.stopped()) == (counts.count(FAILED), counts.count(STOPPED))
    assert len(archive.missing(masks)) == 0
    assert archive.look_up(masks).tolist() == counts
