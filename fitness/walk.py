"""One depth-first walk through a prefix tree, with a few batches."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import jax
import numpy as np

from fitness.prefix_tree import Node
from fitness.stage_programs import StagePrograms
from models.stages import Keeps

Placed = list[tuple[jax.Array, jax.Array]]
"""Batches on the device: ``uint8[b, height, width, channels]`` and ``int32[b]`` each."""

Leaf = tuple[tuple[int, ...], np.ndarray]
"""The rows of identical masks, and what the last program answered for a batch."""


class Walk:
    """Runs each node of a tree once for each batch, and lets go of a carry once nobody needs it."""

    def __init__(
        self, programs: StagePrograms, masks: np.ndarray, batches: Placed, leaf: Any, threads: Executor | None
    ):
        """``threads`` run the batches of a node side by side, one node after the other.

        None leaves that to the device: programs are dispatched and not waited for.
        """
        self._programs = programs
        self._masks = masks
        self._batches = batches
        self._leaf = leaf
        self._threads = threads
        self._found: list[Leaf] = []
        self._under_way: deque[tuple[tuple[int, ...], jax.Array]] = deque()

    def through(self, tree: Iterable[Node]) -> list[Leaf]:
        """What the leaves answer; for one mask, batches in order."""
        for node in tree:
            self._visit(node, [images for images, _ in self._batches], owned=False)
        self._settle(0)
        return self._found

    def _visit(self, node: Node, carries: list[jax.Array], owned: bool) -> None:
        """Run a node and all below it. ``carries`` that are ``owned`` are needed by nobody else."""
        programs = self._programs
        variant = programs.variant(node.stage, self._masks[node.rows[0]])
        weights = programs.weights(node.stage, variant)
        if node.stage == len(programs.chain) - 1:
            labels = [labels for _, labels in self._batches]
            answers = self._each(partial(self._leaf, weights), carries, variant.keeps, labels)
            self._under_way.extend((node.rows, answer) for answer in answers)
            self._settle(len(answers))
            return
        outputs = self._each(partial(programs.run, node.stage, weights), carries, variant.keeps)
        if owned:
            carries.clear()
        del weights
        for child in node.children:
            self._visit(child, outputs, owned=child is node.children[-1])

    def _each(
        self, program: Callable[..., jax.Array], carries: list[jax.Array], keeps: Keeps, *labels: list[jax.Array]
    ) -> list[jax.Array]:
        """``program`` of each batch."""

        def of_batch(carry: jax.Array, *label: jax.Array) -> jax.Array:
            answer = program(carry, keeps, *label)
            # Dispatched faster than they run, programs would be slower together, and hold more.
            return answer if self._threads is None else jax.block_until_ready(answer)

        return list((map if self._threads is None else self._threads.map)(of_batch, carries, *labels))

    def _settle(self, most: int) -> None:
        """Let at most ``most`` answers be under way: dispatch must not run ahead of the device."""
        while len(self._under_way) > most:
            rows, answer = self._under_way.popleft()
            self._found.append((rows, np.asarray(answer)))
