"""The places of a VGG's pools, which the numbering of its layers shows only in part.

Pools have no weights. A number that is missing between two convolutions is a pool or a Dropout, and nothing shows
what is behind the last convolution. Where the numbering and the size of the images leave one plausible reading,
that reading is taken and said; otherwise the user has to tell.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from models.errors import StoreError
from models.networks.vgg import LastPool
from models.torch.facts import Facts, settled

POOLED_SIDE = 7
"""torchvision's VGG averages the output of its features to 7x7 positions."""
SMALLEST_IMAGE = 8
"""Pixels; nobody trains a VGG on smaller images."""
MANY = 4
"""Convolutions; of so many, blocks of one convolution beside longer ones are no longer believed."""
MOST_SHOWN = 8
"""Ranges of sizes in a sentence; larger images have no use there."""
MOST_READINGS = 20_000
"""Most ways to place pools that are compared; a VGG-19 with Dropout everywhere has 1,820 of them."""


class Numbering(NamedTuple):
    """A VGG as its ``state_dict`` shows it.

    Attributes:
        path: of the file, for messages.
        widths: filters of each convolution.
        missing: numbers that are missing behind each convolution but the last, beside batch norm and activation.
        side: height and width of the map that the classifier reads.
    """

    path: Path
    widths: tuple[int, ...]
    missing: tuple[int, ...]
    side: int

    @property
    def gaps(self) -> tuple[int, ...]:
        """Numbers of the convolutions, from 1, behind which a number is missing."""
        return tuple(place for place, count in enumerate(self.missing, 1) if count)

    def blocks(self, closed: Iterable[int]) -> tuple[tuple[int, ...], ...]:
        """The widths, split behind the convolutions ``closed``."""
        ends = [0, *sorted(closed), len(self.widths)]
        return tuple(self.widths[start:end] for start, end in pairwise(ends))


class Pools(NamedTuple):
    """``blocks``: widths, a pool behind each block but the last. ``size``: height and width of the images."""

    blocks: tuple[tuple[int, ...], ...]
    last: LastPool
    averaged: bool
    size: int


def pools_of(seen: Numbering, facts: Facts, assumed: list[str]) -> Pools:
    """Where the pools are; what the file does not tell joins ``assumed``.

    Raises:
        StoreError: several readings are plausible, or what the user tells does not fit the file.
    """
    last = _last_pool(seen, facts, assumed)
    closing = int(last != "none")
    averaged = bool(facts.global_average)
    if averaged and seen.side != 1:
        raise StoreError(
            f"`global_average` does not fit {seen.path}, whose classifier reads {_by(seen.side)} positions."
        )
    if averaged and facts.input_size is None:
        raise StoreError(
            f"behind a global average the weights of {seen.path} fit images of any size; give `input_size`, "
            "their "
            "height and width in pixels."
        )
    if facts.pools_after is not None:
        inner = _told(seen, facts.pools_after)
        if inner:
            assumed.append(f"a 2x2 max pool, not an average pool, behind {_listed(inner)}")
    else:
        inner = _found(seen, facts, closing, assumed)
    size = seen.side * 2 ** (len(inner) + closing)
    sentence = f"images of {_by(size)} pixels (`input_size`)"
    if size < SMALLEST_IMAGE and seen.side == 1:
        sentence += "; where they are larger, the classifier reads a global average (`global_average`)"
    size = settled(facts.input_size, size, assumed, sentence)
    _check_size(seen, size, len(inner) + closing, averaged, assumed)
    return Pools(seen.blocks(inner), last, averaged, size)


def _last_pool(seen: Numbering, facts: Facts, assumed: list[str]) -> LastPool:
    ends = None if facts.pools_after is None else len(seen.widths) in facts.pools_after
    if ends is not None and facts.last_pool is not None and ends != (facts.last_pool != "none"):
        raise StoreError(
            f"`pools_after` {'has' if ends else 'lacks'} the last convolution, {len(seen.widths)}, and "
            "`last_pool` "
            f"is {facts.last_pool}; give one of the two."
        )
    if ends is False:
        return "none"
    others = "an average pool" if ends else "an average pool or none"
    sentence = f"a 2x2 max pool behind the last convolution, not {others} (`last_pool`)"
    return settled(facts.last_pool, "max", assumed, sentence)


def _told(seen: Numbering, told: Sequence[int]) -> tuple[int, ...]:
    count = len(seen.widths)
    for place in told:
        if place > count:
            raise StoreError(f"`pools_after` names convolution {place}, and {seen.path} has {count}.")
        if place < count and place not in seen.gaps:
            raise StoreError(
                f"`pools_after` names convolution {place}, but the numbering of {seen.path} leaves no room for "
                "a pool "
                f"behind it; it does behind {_listed(seen.gaps)}."
            )
    return tuple(place for place in told if place < count)


def _found(seen: Numbering, facts: Facts, closing: int, assumed: list[str]) -> tuple[int, ...]:
    """The convolutions, but for the last, behind which a pool is."""
    gaps, size = seen.gaps, facts.input_size
    if not gaps:
        return ()
    pools = None if size is None or facts.global_average else _halvings(size, seen.side)
    fits = pools is not None and 0 <= pools - closing <= len(gaps)
    if seen.side == POOLED_SIDE and not fits:
        # torchvision's average gives a map of this size whatever the pools are.
        pools = None
    told = size is not None and size >= SMALLEST_IMAGE and pools is not None and len(gaps) == len(seen.missing)
    if _regular(seen, closing) and not (told and pools != len(gaps) + closing):
        assumed.append(
            f"a 2x2 max pool, not an average pool or a Dropout, behind {_listed(gaps)} (`pools_after`)"
        )
        return gaps
    if pools is None and (size is None or facts.global_average or seen.side == POOLED_SIDE):
        remedy = "" if size is not None else "`input_size`, the height and width of the images in pixels, or "
        raise StoreError(
            f"several networks have the weights of {seen.path}: the numbers missing behind {_listed(gaps)} may "
            f"be pools or Dropout; give {remedy}`pools_after`, the convolutions behind which a pool is."
        )
    if pools is None or not fits:
        # In smaller images a number that is missing behind each convolution is a pool.
        least = SMALLEST_IMAGE if _regular(seen, closing) else 1
        raise StoreError(
            f"`input_size` {size} does not fit {seen.path}, whose numbering leaves room for "
            f"{_counted(closing, len(gaps) + closing)} and whose classifier reads {_by(seen.side)} positions; "
            f"give `input_size` {_sizes(seen.side, closing, len(gaps) + closing, least)}, or `last_pool` or "
            "`global_average` if the pools are others."
        )
    wanted = pools - closing
    if wanted == len(gaps):
        assumed.append(f"a 2x2 max pool, not an average pool, behind {_listed(gaps)}")
        return gaps
    if pools == len(gaps) and facts.last_pool is None:
        raise StoreError(
            f"several networks have the weights of {seen.path} and take images of {size} pixels: the numbers "
            f"missing behind {_listed(gaps)} are pools and none closes the last block, or one of them is a "
            "Dropout and a pool closes it; give `last_pool` none, or `pools_after`, the convolutions behind "
            "which a pool is."
        )
    likely = _likely(seen, wanted)
    if likely is None:
        raise StoreError(
            f"several networks have the weights of {seen.path} and take images of {size} pixels, which "
            f"{_counted(pools)} halve: of the numbers missing behind {_listed(gaps)} some are pools, the others "
            "Dropout; give `pools_after`, the convolutions behind which a pool is."
        )
    others = _listed([place for place in gaps if place not in likely])
    where = f"a 2x2 max pool behind {_listed(likely)}, and a" if likely else "no pool but a"
    assumed.append(f"{where} Dropout behind {others} (`pools_after`)")
    return likely


def _regular(seen: Numbering, closing: int) -> bool:
    """Whether each missing number is a pool, as far as the numbering alone can tell.

    Dropout follows either most convolutions or those of the later blocks. So a number is missing behind each
    convolution, or two neighbours of a block, which have the same width, are torn apart.
    """
    gaps = set(seen.gaps)
    if len(gaps) == len(seen.missing):
        if max(seen.missing) > 1:
            # No pool follows another, so one of the two numbers is a Dropout.
            return False
        return seen.side * 2 ** (len(gaps) - 1 + closing) < SMALLEST_IMAGE or not _deep(seen.widths)
    blocks = seen.blocks(gaps)
    return not any(
        before[-1] == after[0] and min(len(before), len(after)) == 1 for before, after in pairwise(blocks)
    )


def _deep(widths: Sequence[int]) -> bool:
    """Whether convolutions with a number missing behind each may form blocks of several, with Dropout inside.

    A block has one width. So the blocks are the runs of equal widths, or equal parts of a single run. Three
    convolutions, two of them alike, are taken for three blocks.
    """
    runs = [len(list(run)) for _, run in groupby(widths)]
    count = len(widths)
    if len(runs) == 1:
        return any(count % depth == 0 for depth in range(2, count // 2 + 1))
    return min(runs) > 1 or (max(runs) > 1 and count >= MANY)


def _halvings(size: int, side: int) -> int | None:
    """How often ``size`` has to be halved, without the remainders, to give ``side``."""
    halvings = 0
    while size > side:
        size, halvings = size // 2, halvings + 1
    return halvings if size == side else None


def _likely(seen: Numbering, wanted: int) -> tuple[int, ...] | None:
    """By convention a block ends where the width grows, and blocks are of like depth; None if a choice is left.

    Where two numbers are missing, one of them is a pool, since no Dropout follows another.
    """
    gaps = seen.gaps
    sure = {place for place in gaps if seen.missing[place - 1] > 1}
    if len(sure) > wanted:
        return None
    growing = {place for place in gaps if seen.widths[place] > seen.widths[place - 1]}
    ends = sure | growing
    if len(ends) > wanted:
        certain, free = sure, [place for place in gaps if place in ends - sure]
    else:
        certain, free = ends, [place for place in gaps if place not in ends]
    readings: list[tuple[int, tuple[int, ...]]] = []
    for number, chosen in enumerate(combinations(free, wanted - len(certain))):
        if number == MOST_READINGS:
            return None
        closed = tuple(sorted({*certain, *chosen}))
        unevenness = sum(len(block) ** 2 for block in seen.blocks(closed))
        readings.append((unevenness, closed))
    readings.sort()
    alone = len(readings) == 1 or readings[0][0] < readings[1][0]
    return readings[0][1] if alone else None


def _check_size(seen: Numbering, size: int, pools: int, averaged: bool, assumed: list[str]) -> None:
    final = size >> pools
    if final == seen.side or (averaged and final > 0):
        return
    any_size = averaged or seen.side == POOLED_SIDE
    fitting = f"{2**pools} or more" if any_size else _sizes(seen.side, pools, pools)
    if final == 0:
        raise StoreError(
            f"`input_size` {size} is too small for {seen.path}, whose {_counted(pools)} halve the images; give "
            f"`input_size` {fitting}."
        )
    if not any_size:
        raise StoreError(
            f"`input_size` {size} leaves {_by(final)} positions before the classifier of {seen.path}, which "
            f"reads {_by(seen.side)}; give `input_size` {fitting}, or `pools_after`, `last_pool` or "
            "`global_average` if the pools are others."
        )
    assumed.append(f"an adaptive average pool from {_by(final)} to 7x7 positions, as torchvision's VGG has")


def _sizes(side: int, fewest: int, most: int, least: int = 1) -> str:
    """The sizes of images that so many pools halve to ``side``, for a sentence; each drops a remainder.

    ``least``: the smallest images that fewer than ``most`` pools are believed of.
    """
    ranges: list[list[int]] = []
    for pools in range(fewest, most + 1):
        low, high = side << pools, ((side + 1) << pools) - 1
        if pools < most:
            low = max(low, least)
        if low > high:
            continue
        if ranges and ranges[-1][1] + 1 == low:
            ranges[-1][1] = high
        else:
            ranges.append([low, high])
    shown = [f"from {low} to {high}" if low < high else str(low) for low, high in ranges[:MOST_SHOWN]]
    return ", ".join(shown[:-1]) + " or " * (len(shown) > 1) + shown[-1]


def _counted(fewest: int, most: int = 0) -> str:
    """``3 pools`` or ``1 to 3 pools``."""
    both = f"{fewest} to {most}" if most > fewest else f"{fewest}"
    return f"{both} pool" + "s" * (max(fewest, most) != 1)


def _by(side: int) -> str:
    return f"{side}x{side}"


def _listed(places: Sequence[int]) -> str:
    if len(places) == 1:
        return f"convolution {places[0]}"
    return "convolutions " + ", ".join(map(str, places[:-1])) + f" and {places[-1]}"
