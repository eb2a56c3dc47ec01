"""Labels that channels carry through a program, and the union-find of labels that are tied together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

WHOLE = 0
"""The label of indices that no mask touches."""

Labels = np.ndarray | None
"""The label of each index of an axis, ``int64[extent]``.

None for an axis of extent 1, which follows the labels it meets: the last filter of a layer is never removed.
"""

Dimensions = tuple[Labels, ...]
"""One entry for each axis of a value."""


def whole(shape: Sequence[int]) -> Dimensions:
    """Labels of a value none of whose indices can be removed."""
    return tuple(None if extent == 1 else np.full(extent, WHOLE) for extent in shape)


def shape_of(atom: Any) -> tuple[int, ...]:
    """The shape of a variable or literal of a program."""
    return tuple(atom.aval.shape)


def carries(labels: Labels) -> bool:
    """Whether an index of the axis may be removed, as far as its own label says."""
    return labels is not None and bool((labels != WHOLE).any())


class Ties:
    """Classes of labels that are kept or removed together, and why some of them have to stay.

    Labels are non-negative integers; classes with :data:`WHOLE` in them cannot be removed.
    """

    def __init__(self) -> None:
        self._parents = [WHOLE]
        self._reasons: dict[int, str] = {}

    def fresh(self, count: int) -> np.ndarray:
        """New labels ``int64[count]``, each a class of its own."""
        start = len(self._parents)
        self._parents += range(start, start + count)
        return np.arange(start, start + count)

    def tie(self, first: np.ndarray, second: np.ndarray, reason: str) -> None:
        """Keep or remove ``first[i]`` and ``second[i]`` together; ``reason`` holds where one cannot go."""
        for one, other in {(int(a), int(b)) for a, b in zip(first.ravel(), second.ravel(), strict=True)}:
            self._tie(one, other, reason)

    def keep(self, labels: np.ndarray, reason: str) -> None:
        """Labels that cannot be removed, because of ``reason``."""
        for label in np.unique(labels):
            self._tie(int(label), WHOLE, reason)

    def free(self, labels: np.ndarray) -> np.ndarray:
        """The class of each label so far, :data:`WHOLE` for those that have to stay."""
        classes = np.array([self._root(int(label)) for label in labels.ravel()], np.int64)
        staying = [label for label in np.unique(classes) if label in self._reasons]
        return np.where(np.isin(classes, staying), WHOLE, classes).reshape(labels.shape)

    def reason(self, label: int) -> str | None:
        """Why a label cannot be removed; None if it can."""
        return self._reasons.get(self._root(label))

    def _root(self, label: int) -> int:
        root = label
        while self._parents[root] != root:
            root = self._parents[root]
        while self._parents[label] != root:
            self._parents[label], label = root, self._parents[label]
        return root

    def _tie(self, one: int, other: int, reason: str) -> None:
        # WHOLE itself joins no class: else all that stays would share the first reason.
        if one == WHOLE or other == WHOLE:
            label = max(one, other)
            if label != WHOLE:
                self._reasons.setdefault(self._root(label), reason)
            return
        one, other = self._root(one), self._root(other)
        if one == other:
            return
        first, last = min(one, other), max(one, other)
        self._parents[last] = first
        inherited = self._reasons.pop(last, None)
        if inherited is not None:
            self._reasons.setdefault(first, inherited)
