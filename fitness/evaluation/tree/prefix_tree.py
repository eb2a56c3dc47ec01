"""The prefix tree: which masks share which runs of stages, from masks and layout alone.

The carry behind a stage depends on the slices that the stages up to it have read. Masks that agree on those
share it, so the runs of a chain of stages for many masks form a tree: one node for each distinct prefix of
each stage. Identical masks share a leaf. Walking the tree depth-first holds one carry for each stage,
however many masks there are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.layout import Layout
from fitness.evaluation.compaction import Compaction


class Link(Protocol):
    """The part of :class:`models.contract.Stage` that the plan needs."""

    reads: str | None
    groups: tuple[str, ...]
    writes: str | None


@dataclass(frozen=True)
class Node:
    """One run of one stage.

    Attributes:
        stage: the number of the stage in the chain.
        rows: the masks that share the run, ascending.
        children: runs of the next stage that take the carry of this run.
    """

    stage: int
    rows: tuple[int, ...]
    children: tuple["Node", ...]


def plan(masks: np.ndarray, layout: Layout, chain: Sequence[Link], compaction: Compaction) -> tuple[Node, ...]:
    """The runs of the first stage for the masks ``bool[n, f]``, each with the runs that follow.

    ``chain`` ends with the last stage that some mask can change; see :func:`branching`. If a stage
    compacts the channels that it writes, the stage depends on their slice. Otherwise only the stages that read
    the channels depend on the slice.
    """
    slices = layout.split(masks)
    prefixes = np.zeros(len(masks), np.int64)
    levels = []
    for link in chain:
        parts = [prefixes.astype(">i8").view(np.uint8).reshape(len(masks), 8)]
        parts += [slices[name] for name in (link.reads, *link.groups) if name in slices]
        if link.writes in slices:
            parts.append(_compacted(slices[link.writes], compaction))
        rows = np.ascontiguousarray(np.concatenate(parts, axis=1)).view(np.uint8)
        # As one opaque value a row: sorting bytes is many times faster than np.unique's axis.
        values = rows.view(np.dtype((np.void, rows.shape[1])))[:, 0]
        prefixes = np.unique(values, return_inverse=True)[1].astype(np.int64)
        levels.append(prefixes)
    return _nodes(0, np.arange(len(masks)), levels)


def branching(layout: Layout, chain: Iterable[Link]) -> int:
    """Number of stages up to the last stage that depends on a mask. Later stages are the same for all masks."""
    depends = [any(name in layout.names for name in (link.reads, *link.groups, link.writes)) for link in chain]
    return max((number for number, does in enumerate(depends, 1) if does), default=1)


def runs(nodes: Iterable[Node], stages: int) -> np.ndarray:
    """``int64[stages]``: how often each stage runs."""
    counts = np.zeros(stages, np.int64)
    pending = list(nodes)
    while pending:
        node = pending.pop()
        counts[node.stage] += 1
        pending += node.children
    return counts


def _compacted(slices: np.ndarray, compaction: Compaction) -> np.ndarray:
    """``bool[n, c]``: the slices that are compacted, and True for all channels of the other slices."""
    size = slices.shape[1]
    whole = np.array([compaction.width(size, kept) == size for kept in np.count_nonzero(slices, axis=1)], bool)
    return slices | whole[:, None]


def _nodes(stage: int, rows: np.ndarray, levels: Sequence[np.ndarray]) -> tuple[Node, ...]:
    """The nodes of a stage among ``rows``, in order of first appearance."""
    if stage == len(levels):
        return ()
    groups: dict[int, list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(int(levels[stage][row]), []).append(row)
    return tuple(
        Node(stage, tuple(members), _nodes(stage + 1, np.array(members), levels)) for members in groups.values()
    )
