"""In which order images are evaluated, and where an evaluation pauses to stop hopeless masks.

Neither may depend on the number of workers, or else the archive of a search would.
"""

import numpy as np

ROUNDS = 8
"""Pauses cost a little sharing of weights and, on a cluster, waiting for the slowest shard."""
ROUND_IMAGES = 512
"""Rounds are not smaller than this, to keep the weights of a run in use for some time."""

ORDERS = ("given", "hardest-first")


def cut(batches: int, total: int, pauses: bool) -> list[np.ndarray]:
    """The batches of each round, for ``total`` images; one round if there are to be no pauses."""
    if not pauses:
        return [np.arange(batches)]
    rounds = max(1, min(ROUNDS, batches, total // ROUND_IMAGES))
    return np.array_split(np.arange(batches), rounds)


def hardest_first(margins: np.ndarray) -> np.ndarray:
    """Order of ``float32[total]`` margins: images that the original network gets wrong, then close calls.

    A mask loses its images there, so those that lose too many are found out early. NaN comes last.
    """
    return np.argsort(margins, kind="stable")
