"""What a mask descends from: the origin of each of its bits, handed down as crossover hands down bits.

A bit has the origin of the founder that it was inherited from, or :data:`MUTATION` if it was flipped or revived
on the way. A mask's ancestry is the number of filters that it removes by the origin of those bits. The bits that
keep a filter are left out: masks agree on most of them, whatever they come from.

Only searches whose founders have origins (:class:`engine.contracts.Founders`) keep them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine.individual import Individual

MUTATION = "mutation"
"""The last of a search's origins: no founder removed, or kept, this filter."""


class Brood(NamedTuple):
    """Masks ``bool[n, f]`` and the number of each bit's origin, ``uint8[n, f]``; None where none are kept."""

    masks: np.ndarray
    origins: np.ndarray | None = None

    @classmethod
    def of(cls, members: Sequence[Individual]) -> "Brood":
        """The masks and origins of individuals of one search."""
        origins = [member.origins for member in members if member.origins is not None]
        return cls(np.stack([member.mask for member in members]), np.stack(origins) if origins else None)

    @classmethod
    def founded(cls, masks: np.ndarray, numbers: np.ndarray) -> "Brood":
        """Founders ``bool[n, f]``, each of one origin, ``uint8[n]``."""
        return cls(masks, np.repeat(numbers.astype(np.uint8)[:, None], masks.shape[1], axis=1))

    @classmethod
    def together(cls, broods: Sequence["Brood"]) -> "Brood":
        """One after the other."""
        origins = [brood.origins for brood in broods if brood.origins is not None]
        masks = np.concatenate([brood.masks for brood in broods])
        return cls(masks, np.concatenate(origins) if origins else None)

    def rows(self, index: np.ndarray) -> "Brood":
        """Some of them."""
        return Brood(self.masks[index], None if self.origins is None else self.origins[index])

    def crossed(self, mate: Callable[[np.ndarray], np.ndarray]) -> "Brood":
        """What ``mate`` makes of the masks; it moves columns of rows, whatever stands in them."""
        if self.origins is None:
            return Brood(mate(self.masks))
        genes = mate(2 * self.origins + self.masks)
        return Brood(genes % 2 == 1, genes // 2)

    def changed(self, masks: np.ndarray, mutation: int) -> "Brood":
        """These with other bits; those that differ from before have the origin ``mutation``."""
        if self.origins is None:
            return Brood(masks)
        return Brood(masks, np.where(masks == self.masks, self.origins, np.uint8(mutation)))


def ancestry(individual: Individual, names: Sequence[str]) -> dict[str, int] | None:
    """Filters that the individual removes, by the name of their origin; None where origins are not kept."""
    if individual.origins is None:
        return None
    counts = np.bincount(individual.origins[~individual.mask], minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}
