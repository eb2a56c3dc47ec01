"""Batch norms of a ``state_dict``: their names, their statistics, and those that are folded into dense layers."""

from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.torch.facts import THROUGH_ONNX

NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
"""PyTorch's names of the arrays of a batch norm -> ours."""


def check_statistics(path: Path, state: dict[str, np.ndarray]) -> None:
    """Refuse norms without running statistics.

    Raises:
        StoreError: a scale and a shift of channels have no mean and variance beside them.
    """
    for name, array in state.items():
        layer, _, part = name.rpartition(".")
        beside = {each: f"{layer}.{each}" in state for each in NORM}
        statistics = beside["running_mean"] or beside["running_var"]
        if part == "weight" and array.ndim == 1 and beside["bias"] and not statistics:
            raise StoreError(
                f"{path} has no running_mean and running_var beside {name!r}; train batch norms with them "
                "(track_running_stats=True, PyTorch's default); a network of group or instance norms is imported "
                f"{THROUGH_ONNX}."
            )


def folded_into_dense(
    path: Path, layers: dict[int, dict[str, np.ndarray]], epsilon: float
) -> dict[int, dict[str, np.ndarray]]:
    """Dense layers of a classifier, each with the batch norm directly behind it.

    Args:
        path: of the file, for messages.
        layers: arrays of each layer by its number, in order; the numbers behind a batch norm become one less.
        epsilon: of the batch norms.

    Raises:
        StoreError: a batch norm is somewhere else.
    """
    dense: dict[int, dict[str, np.ndarray]] = {}
    norms = 0
    for index, parts in layers.items():
        if not is_norm(parts):
            dense[index - norms] = parts
            continue
        norms += 1
        before = dense.get(index - norms, {})
        if {array.shape for array in parts.values()} != {before["bias"].shape if before else None}:
            raise StoreError(
                f"{path} has a batch norm in classifier.{index} that is not directly behind a dense layer; such "
                f"networks are imported {THROUGH_ONNX}."
            )
        scale = parts["weight"] / np.sqrt(parts["running_var"].astype(np.float64) + epsilon)
        folded = {
            "weight": before["weight"] * scale[:, None],
            "bias": (before["bias"] - parts["running_mean"]) * scale + parts["bias"],
        }
        dense[index - norms] = {name: array.astype(np.float32) for name, array in folded.items()}
    return dense


def is_norm(parts: dict[str, np.ndarray]) -> bool:
    """Whether the arrays are those of a batch norm."""
    return parts.keys() == NORM.keys()
