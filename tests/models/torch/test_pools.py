"""Pools and Dropout leave the same gaps in a numbering: read where there is one plausible reading, else refused."""

import re
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import StoreError
from models.torch.facts import Facts
from models.torch.pools import Numbering, pools_of


def seen(layout, side=1):
    """Numbering and blocks of a layout of widths, "M" for a pool and "D" for a Dropout."""
    places = [place for place, item in enumerate(layout) if isinstance(item, int)]
    widths = tuple(layout[place] for place in places)
    missing = tuple(after - before - 1 for before, after in pairwise(places))
    blocks = [[]]
    for item in layout:
        if isinstance(item, int):
            blocks[-1].append(item)
        elif item == "M":
            blocks.append([])
    return Numbering(Path("vgg.pt"), widths, missing, side), tuple(tuple(block) for block in blocks if block)


def dropped(layout):
    """Dropout behind each convolution that another one follows."""
    pairs = pairwise([*layout, "M"])
    return [each for item, after in pairs for each in ([item, "D"] if item != "M" and after != "M" else [item])]


VGG16 = [4, 4, "M", 8, 8, "M", 16, 16, 16, "M", 32, 32, 32, "M", 32, 32, 32, "M"]
VGG19 = [4, 4, "M", 8, 8, "M", *[16] * 4, "M", *[32] * 4, "M", *[32] * 4, "M"]
VGG11 = [4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"]


@pytest.mark.parametrize("side", [1, 4])
@pytest.mark.parametrize(
    "layout",
    [
        VGG11,
        VGG16,
        VGG19,
        [8, 8, "M", 8, 8, "M"],
        # One convolution a block, of which no blocks of several with Dropout can be made.
        [8, "M", 8, "M", 8, "M"],
        [8, "M", 16, "M", 16, "M"],
        [8, "M", 16, "M", 32, "M", 64, "M"],
        [4, "M", 4, "M", 4, "M", 4, "M", 4, "M"],
    ],
)
def test_usual_layouts_need_no_more_than_their_numbering(layout, side):
    numbering, blocks = seen(layout, side)
    assumed = []
    found = pools_of(numbering, Facts(), assumed)
    assert (found.blocks, found.last, found.size) == (blocks, "max", side * 2 ** len(blocks))
    assert {name for name in ("last_pool", "pools_after", "input_size") if f"`{name}`" in " ".join(assumed)} == {
        "last_pool",
        "pools_after",
        "input_size",
    }


@pytest.mark.parametrize(
    "layout",
    [
        *map(dropped, (VGG11, VGG16, VGG19)),
        dropped([8, 8, "M", 8, 8, "M", 8, 8, "M"]),
        dropped([8, 8, "M", 16, 16, "M", 32, 32, "M"]),
        [8, 8, "M", 16, "D", 16, "M", 32, "D", 32, "M"],
        [8, "D", 8, "M", "D", 8, "D", 8, "D", 8, "M"],
        [8, "M", 8, "M", 8, "M", 8, "M"],
        [8, "M", 16, "M", 16, "M", 32, "M"],
    ],
)
def test_the_size_of_the_images_tells_pools_from_dropout(layout):
    numbering, blocks = seen(layout, 2)
    with pytest.raises(StoreError, match="may be pools or Dropout; give `input_size`"):
        pools_of(numbering, Facts(), [])
    assumed = []
    found = pools_of(numbering, Facts(input_size=2 * 2 ** len(blocks)), assumed)
    assert (found.blocks, found.last) == (blocks, "max")
    assert ("Dropout" in " ".join(assumed)) == ("D" in layout)


@pytest.mark.parametrize(
    ("layout", "size", "sentence"),
    [
        (dropped([8, 8, "M", 8, 8, "M", 8, "M"]), 8, "give `pools_after`"),
        (
            dropped([8, 8, "M", 8, 8, "M"]),
            32,
            "`input_size` 32 does not fit .* give `input_size` from 2 to 31, or",
        ),
        (
            dropped([8, 8, "M", 8, 8, "M"]),
            1,
            "`input_size` 1 does not fit .* room for 1 to 4 pools .* from 2 to 31",
        ),
        ([8, "M", 8, "M", 8, "M"], 16, "`input_size` 16 does not fit .* give `input_size` from 8 to 15, or"),
        (VGG16, 16, "`input_size` 16 is too small .* give `input_size` from 32 to 63"),
        (VGG16, 64, "`input_size` 64 leaves 2x2 .* give `input_size` from 32 to 63, or `pools_after`"),
        (dropped(VGG16), 33_000, "does not fit .* from 2 to 16383, or"),
    ],
)
def test_sizes_that_fit_no_reading_or_several_are_refused(layout, size, sentence):
    with pytest.raises(StoreError, match=sentence):
        pools_of(seen(layout)[0], Facts(input_size=size), [])


@given(st.data())
def test_pools_that_are_told_are_taken(data):
    layout = []
    for _ in range(data.draw(st.integers(1, 6))):
        layout += [data.draw(st.integers(1, 3)), *data.draw(st.sampled_from(["", "M", "D", "MD"]))]
    numbering, blocks = seen(layout, data.draw(st.integers(1, 3)))
    convolutions, told = 0, []
    for item in layout:
        convolutions += isinstance(item, int)
        told += [convolutions] if item == "M" else []
    last = "max" if convolutions in told else "none"
    found = pools_of(numbering, Facts(pools_after=tuple(told)), [])
    assert (found.blocks, found.last) == (blocks, last)
    assert found.size == numbering.side * 2 ** len(told)


@pytest.mark.parametrize("side", [1, 2, 3, 5])
@pytest.mark.parametrize("layout", [VGG11, dropped([8, 8, "M", 8, 8, "M"])])
def test_the_sizes_that_a_refusal_names_are_those_that_fit(layout, side):
    numbering, _ = seen(layout, side)
    with pytest.raises(StoreError, match="`input_size` 500 ") as refusal:
        pools_of(numbering, Facts(input_size=500), [])
    named = {
        size
        for low, high in re.findall(r"from (\d+) to (\d+)", str(refusal.value))
        for size in range(int(low), int(high) + 1)
    }
    fitting = set()
    for size in range(1, 500):
        with suppress(StoreError):
            pools_of(numbering, Facts(input_size=size, last_pool="max"), [])
            fitting.add(size)
    assert fitting <= named
    assert all(_refused_for_its_pools(numbering, size) for size in named - fitting)


def _refused_for_its_pools(numbering, size):
    with pytest.raises(StoreError, match="several networks"):
        pools_of(numbering, Facts(input_size=size, last_pool="max"), [])
    return True


@pytest.mark.parametrize(
    ("layout", "side", "facts"),
    [
        # A Dropout in place of a pool, and a pool behind the last convolution.
        ([8, "M", 16, "D", 16, "M"], 4, {"last_pool": "max"}),
        ([8, "D", 8, "M", 16, "M"], 2, {"last_pool": "max"}),
        ([8, "D", 8, "M", 16, "M"], 2, {"pools_after": (2, 3)}),
        # The same weights and size, with a pool at each gap and none at the end.
        ([8, "M", 16, "M", 16], 4, {"last_pool": "none"}),
        ([8, "M", 8, "M", 16], 2, {"last_pool": "none"}),
        ([8, "M", 8, "M", 16], 2, {"pools_after": (1, 2)}),
    ],
)
def test_a_dropout_and_a_pool_at_the_end_or_no_pool_there_is_for_the_user_to_tell(layout, side, facts):
    numbering, blocks = seen(layout, side)
    size = side * 2 ** layout.count("M")
    sentence = r"or one of them is a Dropout .* give `last_pool` none, or `pools_after`"
    with pytest.raises(StoreError, match=sentence):
        pools_of(numbering, Facts(input_size=size), [])
    found = pools_of(numbering, Facts(input_size=size, **facts), [])
    assert (found.blocks, found.size) == (blocks, size)


def test_a_global_average_needs_the_size_of_the_images():
    numbering, blocks = seen([8, 8, "M", 8, 8])
    with pytest.raises(StoreError, match="fit images of any size; give `input_size`"):
        pools_of(numbering, Facts(global_average=True, last_pool="none"), [])
    found = pools_of(numbering, Facts(global_average=True, last_pool="none", input_size=20), [])
    assert (found.blocks, found.size, found.averaged) == (blocks, 20, True)


@pytest.mark.parametrize(("size", "said"), [(None, False), (224, False), (32, True), (500, True)])
def test_torchvisions_average_to_seven_positions_is_said_where_it_does_something(size, said):
    assumed = []
    found = pools_of(seen(VGG16, 7)[0], Facts(input_size=size), assumed)
    assert found.size == (size or 224)
    assert any("adaptive average pool" in sentence for sentence in assumed) == said


@pytest.mark.parametrize(
    ("layout", "facts"),
    [
        (VGG16, {}),
        (VGG16, {"pools_after": (2, 4, 7, 10, 13)}),
        (dropped(VGG16), {"input_size": 32}),
        ([8, "D", "M", 16, "D", "M", 32, "M"], {"input_size": 8}),
    ],
)
def test_the_kind_of_the_pools_is_said_and_nothing_that_was_told(layout, facts):
    assumed = []
    found = pools_of(seen(layout)[0], Facts(**facts), assumed)
    ends = list(accumulate(map(len, found.blocks[:-1])))
    [inner] = [each for each in assumed if "max pool" in each and "last convolution" not in each]
    assert all(re.search(rf"\b{end}\b", inner) for end in ends)
    assert not any(f"`{name}`" in each for name in facts for each in assumed)


@pytest.mark.parametrize(("size", "positions"), [(60, 15), (20, 5), (1000, 250)])
def test_torchvisions_average_fits_pools_behind_each_convolution_too(size, positions):
    numbering, blocks = seen([8, "M", 16, "M"], 7)
    assumed = []
    found = pools_of(numbering, Facts(input_size=size), assumed)
    assert (found.blocks, found.size) == (blocks, size)
    assert any(f"from {positions}x{positions} to 7x7" in each for each in assumed)


@pytest.mark.parametrize(("layout", "said"), [([8, "M", 16, "M"], True), ([8, "M", 16, "M", 32, "M"], False)])
def test_images_too_small_to_be_believed_may_be_those_of_a_global_average(layout, said):
    assumed = []
    pools_of(seen(layout)[0], Facts(), assumed)
    assert said == any("`global_average`" in each for each in assumed)
