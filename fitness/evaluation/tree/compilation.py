"""Compiles the programs that a walk through a prefix tree needs: before the walk, and several at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import NamedTuple

import jax
import numpy as np

from fitness.evaluation.masked_stages import STORED, MaskedStages
from fitness.evaluation.programs import Orders
from fitness.evaluation.tree.prefix_tree import Node
from models.contract import Norm

Leaf = Callable[..., jax.Array]
"""The method of :class:`MaskedStages` that runs the last program."""


def compile_programs(
    stages: MaskedStages,
    leaf: Leaf,
    tree: Iterable[Node],
    masks: np.ndarray,
    batch: tuple[jax.Array, jax.Array],
    calibration_images: jax.Array | None,
    threads: Executor,
) -> None:
    """Compile what a :class:`fitness.evaluation.tree.walk.Walk` calls, and the measuring of statistics before.

    Args:
        stages: of the network.
        leaf: see :data:`Leaf`.
        tree: of the masks ``bool[n, f]``.
        masks: see ``tree``.
        batch: images and labels; all batches of the walk have these shapes.
        calibration_images: on which statistics of batch norms are measured; None for stored statistics.
        threads: compile.
    """
    with Orders(threads) as orders:
        outlined = stages.outlined(orders.order)
        norms = [outlined.measured(mask) if calibration_images is not None else [] for mask in masks]
        for node in tree:
            _visit(_Plan(outlined, leaf, masks, norms, batch[1]), node, batch[0], calibration_images)


class _Plan(NamedTuple):
    """What is the same for all nodes. ``norms``: for each mask and stage the batch norms that are measured."""

    stages: MaskedStages
    leaf: Leaf
    masks: np.ndarray
    norms: list[list[tuple[Norm, ...]]]
    labels: jax.Array


def _visit(plan: _Plan, node: Node, carry: jax.Array, calibration_carry: jax.Array | None) -> None:
    """Order the programs of a node and of all nodes below. The carries are those in front of the node."""
    stages, row = plan.stages, node.rows[0]
    variant = stages.variant(node.stage, plan.masks[row])
    statistics = STORED
    if calibration_carry is not None:
        if any(any(plan.norms[below][node.stage :]) for below in node.rows):
            norms = plan.norms[row][node.stage]
            statistics, calibration_carry = stages.calibrate(node.stage, variant, norms, calibration_carry)
        else:
            calibration_carry = None
    weights = stages.weights(node.stage, variant, statistics)
    if node.stage == len(stages.chain) - 1:
        plan.leaf(stages, weights, carry, variant.keeps, plan.labels)
        return
    carry = stages.run(node.stage, weights, carry, variant.keeps)
    for child in node.children:
        _visit(plan, child, carry, calibration_carry)
