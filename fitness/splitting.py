"""Into how many tasks a generation is cut. Has no influence on counts."""

SHARDS_PER_WORKER = 4
"""In a round: more shards than workers, so that an idle worker finds one to take."""

SHARD_BATCHES = 4
"""Smaller shards are made only to give every worker one: each cuts the weights of a run anew."""

TASKS_PER_WORKER = 4
"""Fewer leave workers idle at the end of a round, where some are slower than others."""

BLOCK_MASKS = 32
"""Fewest masks of a task where masks are split, too: fewer share little."""


def shard_count(batches: int, workers: int) -> int:
    """Shards for a round of some batches: as many for each worker."""
    if workers == 1:
        return 1
    each = max(1, min(SHARDS_PER_WORKER, batches // (SHARD_BATCHES * workers)))
    return min(batches, each * workers)


def block_count(masks: int, shards: int, workers: int) -> int:
    """Blocks of masks, where shards alone are too few tasks for the workers.

    Masks of different blocks share no prefixes, so this is the second choice.
    """
    if workers == 1:
        return 1
    return max(1, min(masks // BLOCK_MASKS, -(-TASKS_PER_WORKER * workers // shards)))
