import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MaskError
from engine.layout import Layout, mask_sha256


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 5), st.randoms())
def test_split_pack_and_count_agree(sizes, masks, random):
    layout = Layout(tuple(f"layer{i}" for i in range(len(sizes))), tuple(sizes))
    rows = np.array([[random.random() < 0.5 for _ in range(sum(sizes))] for _ in range(masks)], bool)
    rows = rows.reshape(masks, sum(sizes))
    parts = layout.split(rows)
    assert [part.shape[1] for part in parts.values()] == sizes
    np.testing.assert_array_equal(np.concatenate(list(parts.values()), axis=1), rows)
    np.testing.assert_array_equal(layout.unpack(layout.pack(rows)), rows)
    expected = np.array([[part[row].sum() for part in parts.values()] for row in range(masks)])
    np.testing.assert_array_equal(layout.kept(rows), expected.reshape(masks, len(sizes)))


def test_sha256_is_of_the_packed_bits():
    mask = np.array([True, False, True])
    assert mask_sha256(mask) == hashlib.sha256(bytes([0b10100000])).hexdigest()


@pytest.mark.parametrize("masks", [np.ones((2, 3), bool), np.ones((2, 4), int), np.ones(4, bool)])
def test_wrong_masks_are_refused(masks):
    with pytest.raises(MaskError, match=r"must be bool\[n, 4\]"):
        Layout(("a", "b"), (1, 3)).checked(masks)


@pytest.mark.parametrize(("names", "sizes"), [((), ()), (("a",), (0,)), (("a", "a"), (1, 1)), (("a",), (1, 2))])
def test_impossible_layouts_are_refused(names, sizes):
    with pytest.raises(MaskError):
        Layout(names, sizes)
