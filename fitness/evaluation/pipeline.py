"""Counts masks on one round of images after the other, and lets idle workers begin the next round.

At the end of a round some workers wait for the last tasks of others. Here they begin tasks of the next round, for
masks that will probably be counted on. Which masks are stopped follows from whole rounds alone, so counts are
those of rounds one after the other: the answers for a mask that is stopped are dropped.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from engine.cluster.tasks.calls import Task
from engine.layout import Layout
from fitness.evaluation.division import block_count
from fitness.evaluation.shard_worker import Request, Runner


class _Block(NamedTuple):
    """``rows``: ``int64[k]``, masks to count on a shard."""

    rows: np.ndarray
    shard: int


class Pipeline:
    """One evaluation of some masks. Each :meth:`count` is a round."""

    def __init__(
        self,
        runner: Runner,
        layout: Layout,
        masks: np.ndarray,
        rounds: Sequence[Sequence[int]],
        sizes: Sequence[int],
        workers: int,
    ):
        """``masks``: ``bool[n, f]``; ``rounds``: the shards of each; ``sizes``: images of each shard."""
        self._runner = runner
        self._layout = layout
        self._masks = masks
        self._rounds = rounds
        self._sizes = sizes
        self._workers = workers
        self._number = 0
        self._begun: list[tuple[_Block, int]] = []

    def count(self, rows: np.ndarray, likely: np.ndarray) -> np.ndarray:
        """``int64[2, n]``: see :meth:`fitness.evaluation.counting.MaskedCounter.count`, on the next round.

        Args:
            rows: ``int64[k]``, the masks to count; the answers of others mean nothing.
            likely: ``int64[j]``, those that the round behind it will probably count too.
        """
        # A block that was begun ahead serves if one of its masks goes on.
        begun = [(block, number) for block, number in self._begun if np.isin(block.rows, rows).any()]
        counted: dict[int, list[np.ndarray]] = {}
        for block, _ in begun:
            counted.setdefault(block.shard, []).append(block.rows)
        new = list(self._blocks(self._rounds[self._number], rows, counted))
        following = self._rounds[self._number + 1 : self._number + 2] if self._workers > 1 else []
        ahead = [block for shards in following for block in self._blocks(shards, likely, {})]

        requests: dict[bytes, int] = {}

        def task(block: _Block) -> Task:
            request = requests.setdefault(block.rows.tobytes(), len(requests))
            return Task(request, block.shard, float(len(block.rows) * self._sizes[block.shard]))

        tasks, later = [task(block) for block in new], [task(block) for block in ahead]
        masks = [self._masks[np.frombuffer(name, np.int64)] for name in requests]
        ran = self._runner.run(
            [Request("count", self._layout.pack(block)) for block in masks],
            tasks,
            carried=[number for _, number in begun],
            ahead=later,
        )
        self._begun = [(ahead[place], number) for place, number in ran.begun]
        self._number += 1
        totals = np.zeros((2, len(self._masks)), np.int64)
        for block, answer in zip([*new, *(block for block, _ in begun)], ran.answers, strict=True):
            totals[:, block.rows] += answer
        return totals

    def _blocks(
        self, shards: Sequence[int], rows: np.ndarray, counted: dict[int, list[np.ndarray]]
    ) -> Iterator[_Block]:
        """Blocks of the masks ``rows`` on each shard, without those that are counted there already."""
        for shard in shards:
            rest = np.setdiff1d(rows, np.concatenate(counted[shard])) if shard in counted else rows
            if len(rest):
                blocks = np.array_split(rest, block_count(len(rest), len(shards), self._workers))
                yield from (_Block(block, shard) for block in blocks)
