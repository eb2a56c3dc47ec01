"""Random search: masks drawn independently of each other, the best of them kept.

Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13. Each mask draws a removal
ratio u * u, u uniform in [0, 1), and then loses each filter with that probability: every other mask loses less
than a quarter of the filters, as few can be spared without retraining.
"""

import numpy as np

from engine.incumbent import Incumbent
from engine.operators import revive_empty_layers

BATCH = 64
"""Masks drawn at once; how many has no influence on which."""


def random_search(incumbent: Incumbent, rng: np.random.Generator) -> None:
    """Spend the incumbent's budget on random masks."""
    layout = incumbent.layout
    while incumbent.left > 0:
        drawn = []
        for _ in range(min(BATCH, incumbent.left)):
            mask = rng.random((1, layout.n_filters)) >= rng.random() ** 2
            drawn.append(revive_empty_layers(rng, layout, mask))
        incumbent.improve(incumbent.best, np.concatenate(drawn))
