"""A task on a worker."""

from dataclasses import dataclass


@dataclass(eq=False)
class Attempt:
    """A task on a worker. ``batch`` numbers its batch, because answers to earlier batches are ignored.

    A task that a later batch carries on gets the number and the batch that it has there.
    """

    worker: int
    task: int
    shard: int
    batch: int
    work: float
    started: float
