"""Hill climbing with restarts: small changes to one mask, kept where they raise the score.

Sampled steepest ascent; Russell and Norvig, "Artificial Intelligence", on local search. A climb begins at the
unpruned network. A step tries :data:`NEIGHBOURS` masks at once. Each differs in a block of 1, 2, 4, ... filters,
up to an eighth of a layer, drawn at random within one layer, whose bits are flipped; layers are drawn in
proportion to their filters. The climb moves to the best of them that is feasible and better than where it stands.
After :data:`PATIENCE` steps without any it begins anew. The best mask of all climbs counts.
"""

import numpy as np

from engine.incumbent import Incumbent
from engine.layout import Layout
from engine.operators import revive_empty_layers

NEIGHBOURS = 16
PATIENCE = 8


def hill_climbing(incumbent: Incumbent, rng: np.random.Generator) -> None:
    """Spend the incumbent's budget on climbs."""
    layout = incumbent.layout
    here, failures = incumbent.original, 0
    while incumbent.left > 0:
        tried = neighbours(rng, layout, here.individual.mask, NEIGHBOURS)
        there = incumbent.improve(here, tried)
        failures = failures + 1 if there is here else 0
        here = there
        if failures == PATIENCE:
            here, failures = incumbent.original, 0


def neighbours(rng: np.random.Generator, layout: Layout, mask: np.ndarray, count: int) -> np.ndarray:
    """``bool[count, f]``: copies of ``bool[f]``, each with a block of one layer flipped, no layer empty."""
    masks = np.repeat(mask[None], count, axis=0)
    shares = np.asarray(layout.sizes) / layout.n_filters
    for row, layer in zip(masks, rng.choice(len(shares), count, p=shares), strict=True):
        size = layout.sizes[layer]
        block = 2 ** rng.integers(max(1, size // 8).bit_length())
        flipped = layout.offsets[layer] + rng.choice(size, block, replace=False)
        row[flipped] ^= True
    return revive_empty_layers(rng, layout, masks)
