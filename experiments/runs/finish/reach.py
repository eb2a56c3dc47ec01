"""How far beyond the threshold a search goes, learned from what a refit gives back.

A search scores masks without a refit, which would take too long. A mask that loses more than the threshold may
lose less once it is refitted. So up to its reach the search rewards masks as if they were within the threshold.
Now and then its best mask is refitted and judged. The reach then becomes the threshold plus the accuracy that
the refit gave back, between one and three thresholds.
"""

FIRST = 2.0
"""The reach of generation 0, in thresholds."""

MOST = 3.0
"""The largest reach, in thresholds."""

_FIRST_LESSON = 4


def first_reach(threshold: float) -> float:
    """The reach of generation 0, in percent."""
    return min(100.0, FIRST * threshold)


def lesson_is_due(generation: int) -> bool:
    """Whether the search refits its best mask after this generation: 0, 4, 8, 16, 32 and so on."""
    return generation == 0 or (generation >= _FIRST_LESSON and generation & (generation - 1) == 0)


def learned_reach(threshold: float, before: float, after: float) -> float:
    """The reach after a lesson: a mask that lost ``before`` loses ``after`` once it is judged; percent."""
    return float(min(100.0, max(threshold, min(MOST * threshold, threshold + before - after))))
