"""Batch norm's statistics for many masks: the calibration images walk through the prefix tree first.

The statistics of a run follow from the prefix of its node and from the calibration images, never from other
masks, batches or workers. They are small, so they are kept for the next batches and rounds of the same masks.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from fitness.evaluation.masked_stages import STORED, MaskedStages, Statistics
from fitness.evaluation.tree.prefix_tree import Node
from models.compensation.recalibration import Calibration
from models.contract import Norm

CACHED_BYTES = 64 * 2**20
"""Bytes of statistics that are kept; those of the present masks are kept in any case."""


class MeasuredStatistics:
    """The statistics that the runs of a tree need. Without a calibration, all runs need those of the network.

    Attributes:
        images: ``uint8[n, height, width, channels]`` of the calibration, on the device; None without one.
    """

    def __init__(self, stages: MaskedStages, calibration: Calibration | None):
        self._stages = stages
        self.images = None if calibration is None else jnp.asarray(calibration.images)
        self._known: OrderedDict[bytes, Statistics] = OrderedDict()
        self._bytes = 0
        self._masks = np.zeros((0, 0), bool)
        self._lines: dict[int, tuple[list[tuple[Norm, ...]], list[bytes]]] = {}

    def measure(self, tree: Iterable[Node], masks: np.ndarray) -> None:
        """Measure what the tree of the masks ``bool[n, f]`` needs and what is not known yet.

        The walk is depth-first, with all calibration images: it holds a carry of theirs for each stage.
        """
        if self.images is None:
            return
        self._masks, self._lines = masks, {}
        for root in tree:
            self._visit(root, self.images)
        used = {key for root in tree for key in self._keys(root)}
        for key in used:
            self._known.move_to_end(key)
        while self._bytes > CACHED_BYTES and len(self._known) > len(used):
            self._bytes -= _size(self._known.popitem(last=False)[1])

    def of(self, node: Node) -> Statistics:
        """The statistics of a node of the tree that was measured last."""
        if self.images is None:
            return STORED
        norms, key = self._line(node)
        return self._known[key] if norms else STORED

    def _visit(self, node: Node, carry: jax.Array) -> None:
        """Measure a node and all nodes below, as far as something there is not known."""
        if all(key in self._known for key in self._keys(node)):
            return
        norms, key = self._line(node)
        variant = self._stages.variant(node.stage, self._masks[node.rows[0]])
        statistics, carry = self._stages.calibrate(node.stage, variant, norms, carry)
        # Without waiting, the carries of programs that have not run yet would pile up.
        jax.block_until_ready(carry)
        if norms and key not in self._known:
            self._known[key] = statistics
            self._bytes += _size(statistics)
        for child in node.children:
            self._visit(child, carry)

    def _keys(self, node: Node) -> Iterator[bytes]:
        """The keys of all statistics of a node and of the nodes below."""
        norms, key = self._line(node)
        if norms:
            yield key
        for child in node.children:
            yield from self._keys(child)

    def _line(self, node: Node) -> tuple[tuple[Norm, ...], bytes]:
        """The norms that are measured at a node, and the key of their statistics."""
        row = node.rows[0]
        if row not in self._lines:
            mask = self._masks[row]
            self._lines[row] = self._stages.measured(mask), self._stages.prefixes(mask)
        norms, keys = self._lines[row]
        return norms[node.stage], keys[node.stage]


def _size(statistics: Statistics) -> int:
    return sum(array.nbytes for array in statistics.values())
