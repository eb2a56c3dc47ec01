"""One depth-first walk through a prefix tree, with a few batches."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from fitness.evaluation.masked_stages import MaskedStages
from fitness.evaluation.tree.kept_carries import Shelf
from fitness.evaluation.tree.prefix_tree import Node
from fitness.evaluation.tree.statistics import MeasuredStatistics
from models.contract import Keeps

Placed = list[tuple[jax.Array, jax.Array]]
"""Batches on the device: ``uint8[b, height, width, channels]`` and ``int32[b]`` each."""

Leaf = tuple[tuple[int, ...], np.ndarray]
"""The rows of identical masks, and the answer of the last program for a batch."""


class Walk:
    """Runs each node of a tree once for each batch, and frees a carry after its last use."""

    def __init__(
        self,
        stages: MaskedStages,
        statistics: MeasuredStatistics,
        masks: np.ndarray,
        batches: Placed,
        leaf: Any,
        threads: Executor | None,
        shelf: Shelf | None = None,
        prefixes: Callable[[int], list[bytes]] = lambda row: [],
    ):
        """``threads`` run the batches of a node at the same time, one node after the other.

        Without threads, programs are dispatched to the device without waiting for their results.
        ``shelf`` keeps carries for later walks; ``prefixes`` are the keys of a row, see
        :meth:`fitness.evaluation.masked_stages.MaskedStages.prefixes`.
        """
        self._stages = stages
        self._statistics = statistics
        self._masks = masks
        self._batches = batches
        self._leaf = leaf
        self._threads = threads
        self._shelf = shelf
        self._prefixes = prefixes
        self._aside: list[tuple[Sequence[jax.Array], tuple[Node, ...]]] = []
        self._found: list[Leaf] = []
        self._under_way: deque[tuple[tuple[int, ...], jax.Array]] = deque()

    def through(self, tree: Iterable[Node]) -> list[Leaf]:
        """The answers of the leaves. For one mask, batches are in order."""
        images = [images for images, _ in self._batches]
        roots = self._remaining(tree)
        for node in roots:
            self._visit(node, images, owned=False)
        for carries, nodes in self._aside:
            for node in nodes:
                self._visit(node, list(carries), owned=True)
        self._settle(0)
        return self._found

    def _remaining(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """The nodes without the runs whose carries are kept; the nodes behind those carries are put aside."""
        shelf = self._shelf
        if shelf is None:
            return tuple(nodes)
        remaining = []
        for node in nodes:
            children = self._remaining(node.children)
            if node.children and not children:
                continue
            kept = shelf.ask(self._key(node)) if children else None
            if kept is None:
                remaining.append(replace(node, children=children))
            else:
                self._aside.append((kept, children))
        return tuple(remaining)

    def _key(self, node: Node) -> bytes:
        return self._prefixes(node.rows[0])[node.stage]

    def _visit(self, node: Node, carries: list[jax.Array], owned: bool) -> None:
        """Run a node and all nodes below. ``owned``: no other node needs ``carries``."""
        stages = self._stages
        variant = stages.variant(node.stage, self._masks[node.rows[0]])
        weights = stages.weights(node.stage, variant, self._statistics.of(node))
        if node.stage == len(stages.chain) - 1:
            labels = [labels for _, labels in self._batches]
            answers = self._each(partial(self._leaf, weights), carries, variant.keeps, labels)
            self._under_way.extend((node.rows, answer) for answer in answers)
            self._settle(len(answers))
            return
        outputs = self._each(partial(stages.run, node.stage, weights), carries, variant.keeps)
        if self._shelf is not None and outputs[0].size < carries[0].size:
            self._shelf.offer(self._key(node), outputs)
        if owned:
            carries.clear()
        del weights
        for child in node.children:
            self._visit(child, outputs, owned=child is node.children[-1])

    def _each(
        self, program: Callable[..., jax.Array], carries: list[jax.Array], keeps: Keeps, *labels: list[jax.Array]
    ) -> list[jax.Array]:
        """The results of ``program`` for each batch."""

        def of_batch(carry: jax.Array, *label: jax.Array) -> jax.Array:
            answer = program(carry, keeps, *label)
            # Without waiting, more programs would run at once: slower, and with more memory.
            return answer if self._threads is None else jax.block_until_ready(answer)

        return list((map if self._threads is None else self._threads.map)(of_batch, carries, *labels))

    def _settle(self, most: int) -> None:
        """Wait until at most ``most`` answers are under way, so that dispatch stays close to the device."""
        while len(self._under_way) > most:
            rows, answer = self._under_way.popleft()
            self._found.append((rows, np.asarray(answer)))
