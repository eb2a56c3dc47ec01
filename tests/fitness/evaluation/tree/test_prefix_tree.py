from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.layout import Layout
from fitness.evaluation.compaction import WHOLE, Compaction
from fitness.evaluation.tree.prefix_tree import branching, plan, runs


class Link(NamedTuple):
    reads: str | None
    groups: tuple[str, ...]
    writes: str | None


PLAIN = [Link(None, (), "a"), Link("a", (), "b"), Link("b", (), "c"), Link("c", (), None), Link(None, (), None)]
RESIDUAL = [Link(None, (), "t"), Link("t", ("u",), "t"), Link("t", ("v",), "t"), Link("t", (), None)]
LAYOUTS = {"plain": Layout(("a", "b", "c"), (3, 4, 2)), "residual": Layout(("t", "u", "v"), (3, 4, 2))}


@st.composite
def populations(draw):
    """Random masks with duplicates and long equal prefixes, as crossing makes them."""
    count = draw(st.integers(1, 12))
    bases = [draw(st.lists(st.booleans(), min_size=9, max_size=9)) for _ in range(draw(st.integers(1, 3)))]
    masks = np.array([bases[draw(st.integers(0, len(bases) - 1))] for _ in range(count)], bool)
    for row in range(count):
        if draw(st.booleans()):
            masks[row, draw(st.integers(0, 8)) :] = draw(st.booleans())
    return masks


def expected_runs(masks, layout, chain, compaction):
    """Distinct prefixes of each stage, by definition."""
    slices = layout.split(masks)
    found = []
    for length in range(1, len(chain) + 1):
        prefixes = set()
        for row in range(len(masks)):
            seen = {name for link in chain[:length] for name in (link.reads, *link.groups) if name}
            written = {link.writes for link in chain[:length] if link.writes}
            for name in written - seen:
                if compaction.indices(slices[name][row]) is not None:
                    seen.add((name, "compacted"))
            prefixes.add(
                tuple(
                    (str(name), slices[name if isinstance(name, str) else name[0]][row].tobytes())
                    for name in sorted(seen, key=str)
                )
            )
        found.append(len(prefixes))
    return found


@given(populations(), st.sampled_from(["plain", "residual"]), st.sampled_from([1, 2, 8]))
def test_a_stage_runs_once_for_each_distinct_prefix(masks, kind, widths):
    layout, chain = LAYOUTS[kind], {"plain": PLAIN, "residual": RESIDUAL}[kind]
    compaction = Compaction(widths, spacing=1)
    chain = chain[: branching(layout, chain)]
    tree = plan(masks, layout, chain, compaction)
    assert runs(tree, len(chain)).tolist() == expected_runs(masks, layout, chain, compaction)


@given(populations())
def test_every_mask_reaches_one_leaf_and_identical_masks_the_same(masks):
    layout = LAYOUTS["plain"]
    leaves, pending = [], list(plan(masks, layout, PLAIN[:4], WHOLE))
    while pending:
        node = pending.pop()
        if node.stage == 3:
            assert not node.children
            leaves.append(node.rows)
            assert len({masks[row].tobytes() for row in node.rows}) == 1
        else:
            assert sorted(row for child in node.children for row in child.rows) == list(node.rows)
        pending += node.children
    assert sorted(row for rows in leaves for row in rows) == list(range(len(masks)))
    assert len(leaves) == len(np.unique(masks, axis=0))


def test_the_stages_that_no_mask_changes_are_left_to_the_leaf():
    assert branching(LAYOUTS["plain"], PLAIN) == 4
    assert branching(Layout(("a",), (3,)), PLAIN) == 2
    assert branching(LAYOUTS["residual"], RESIDUAL) == 4
    assert branching(Layout(("other",), (3,)), PLAIN) == 1


@given(st.integers(1, 600), st.data())
def test_widths_hold_what_is_kept_and_are_few(size, data):
    compaction = Compaction()
    kept = data.draw(st.integers(0, size))
    width = compaction.width(size, kept)
    assert kept <= width <= size
    assert len({compaction.width(size, k) for k in range(size + 1)}) <= 16
    assert width - kept < max(16, size / 16 + 1) or kept == 0
    keep = np.zeros(size, bool)
    keep[data.draw(st.permutations(range(size)))[:kept]] = True
    indices = compaction.indices(keep)
    if width == size:
        assert indices is None
    else:
        assert indices.dtype == np.int32
        assert indices[:kept].tolist() == np.flatnonzero(keep).tolist()
        assert indices[kept:].tolist() == [size] * (width - kept)
