"""Pools and Dropout leave the same gaps in a numbering: read where there is one plausible reading, else refused."""

from itertools import pairwise
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
        (dropped([8, 8, "M", 8, 8, "M"]), 32, "`input_size` 32 does not fit .* give `input_size` 16 or less"),
        (dropped([8, 8, "M", 8, 8, "M"]), 1, "`input_size` 1 is too small"),
        (VGG16, 16, "`input_size` 16 is too small .* give `input_size` 32 or more"),
        (VGG16, 64, "`input_size` 64 leaves 2x2 .* give `input_size` 32, or `pools_after`"),
        (dropped(VGG16), 33_000, "does not fit"),
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


def test_a_size_that_the_pools_do_not_give_tells_of_dropout():
    numbering, blocks = seen([8, "M", 16, "D", 16, "M"], 4)
    found = pools_of(numbering, Facts(input_size=16), [])
    assert (found.blocks, found.size) == (blocks, 16)


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
