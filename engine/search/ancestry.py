"""Ancestry: the origin of each bit of a mask, inherited through crossover like the bit itself.

A bit has the origin of the initial mask that it was inherited from, or :data:`MUTATION` if a mutation, a repair
or rounding changed it on the way. A mask's ancestry counts the filters that it removes, by the origin of their
bits.
Kept filters are not counted: masks agree on most of them, whatever their origin.

Only a search with founders (:class:`engine.contracts.Founders`) records origins.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine.search.individual import Individual

MUTATION = "mutation"
"""The last origin of a search: a bit that differs from the initial mask's."""


class Brood(NamedTuple):
    """Masks ``bool[n, f]`` and the origin of each bit, ``uint8[n, f]``; None if origins are not recorded."""

    masks: np.ndarray
    origins: np.ndarray | None = None

    @classmethod
    def of(cls, members: Sequence[Individual]) -> "Brood":
        """The masks and origins of individuals."""
        origins = [member.origins for member in members if member.origins is not None]
        return cls(np.stack([member.mask for member in members]), np.stack(origins) if origins else None)

    @classmethod
    def founded(cls, masks: np.ndarray, numbers: np.ndarray) -> "Brood":
        """Initial masks ``bool[n, f]``, each of a single origin, ``uint8[n]``."""
        return cls(masks, np.repeat(numbers.astype(np.uint8)[:, None], masks.shape[1], axis=1))

    @classmethod
    def together(cls, broods: Sequence["Brood"]) -> "Brood":
        """The rows of all broods, brood after brood."""
        origins = [brood.origins for brood in broods if brood.origins is not None]
        masks = np.concatenate([brood.masks for brood in broods])
        return cls(masks, np.concatenate(origins) if origins else None)

    def rows(self, index: np.ndarray) -> "Brood":
        """Some of the rows."""
        return Brood(self.masks[index], None if self.origins is None else self.origins[index])

    def crossed(self, mate: Callable[[np.ndarray], np.ndarray]) -> "Brood":
        """Apply a crossover. ``mate`` moves columns between rows, so it can carry origins along with bits."""
        if self.origins is None:
            return Brood(mate(self.masks))
        genes = mate(2 * self.origins + self.masks)
        return Brood(genes % 2 == 1, genes // 2)

    def changed(self, masks: np.ndarray, mutation: int) -> "Brood":
        """The brood with new masks; bits that differ from before get the origin ``mutation``."""
        if self.origins is None:
            return Brood(masks)
        return Brood(masks, np.where(masks == self.masks, self.origins, np.uint8(mutation)))


def ancestry(individual: Individual, names: Sequence[str]) -> dict[str, int] | None:
    """Filters that the individual removes, by origin; None if origins are not recorded."""
    if individual.origins is None:
        return None
    counts = np.bincount(individual.origins[~individual.mask], minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}
