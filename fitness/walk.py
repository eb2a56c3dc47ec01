"""One depth-first walk through a prefix tree, with a few batches."""

from collections import deque
from collections.abc import Iterable
from threading import Event
from typing import Any

import jax
import numpy as np

from fitness.prefix_tree import Node
from fitness.stage_programs import StagePrograms

Placed = list[tuple[jax.Array, jax.Array]]
"""Batches on the device: ``uint8[b, height, width, channels]`` and ``int32[b]`` each."""

Leaf = tuple[tuple[int, ...], np.ndarray]
"""The rows of identical masks, and what the last program answered for a batch."""


class Walk:
    """Runs each node of a tree once for each batch, and lets go of a carry once nobody needs it."""

    def __init__(self, programs: StagePrograms, masks: np.ndarray, batches: Placed, leaf: Any, cancelled: Event):
        self._programs = programs
        self._masks = masks
        self._batches = batches
        self._leaf = leaf
        self._cancelled = cancelled
        self._found: list[Leaf] = []
        self._under_way: deque[tuple[tuple[int, ...], jax.Array]] = deque()

    def through(self, tree: Iterable[Node]) -> list[Leaf]:
        """What the leaves answer; fewer if the walk is cancelled."""
        for node in tree:
            self._visit(node, [images for images, _ in self._batches], owned=False)
        self._settle(0)
        return self._found

    def _visit(self, node: Node, carries: list[jax.Array], owned: bool) -> None:
        """Run a node and all below it. ``carries`` that are ``owned`` are needed by nobody else."""
        if self._cancelled.is_set():
            return
        programs = self._programs
        variant = programs.variant(node.stage, self._masks[node.rows[0]])
        weights = programs.weights(node.stage, variant)
        if node.stage == len(programs.chain) - 1:
            for carry, (_, labels) in zip(carries, self._batches, strict=True):
                self._under_way.append((node.rows, self._leaf(weights, carry, variant.keeps, labels)))
            self._settle(len(self._batches))
            return
        outputs = []
        for carry in carries:
            outputs.append(programs.run(node.stage, weights, carry, variant.keeps))
            self._pace(outputs[-1])
        del carry
        if owned:
            carries.clear()
        del weights
        for child in node.children:
            self._visit(child, outputs, owned=child is node.children[-1])

    def _pace(self, carry: jax.Array) -> None:
        """On CPU, wait: programs that are dispatched faster than they run are slower together, and hold more."""
        if jax.default_backend() == "cpu":
            jax.block_until_ready(carry)

    def _settle(self, most: int) -> None:
        """Let at most ``most`` answers be under way: dispatch must not run ahead of the device."""
        while len(self._under_way) > most:
            rows, answer = self._under_way.popleft()
            self._found.append((rows, np.asarray(answer)))
