"""The Ray actor that evaluates: pinned to its cores before it imports JAX."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

ShardFunction = Callable[[int, Any, Any], np.ndarray]
"""``(shard's number, shard, message) -> answer``."""


class Worker:
    """The actor: pins itself to its cores, then builds the function that counts a shard.

    The order matters: XLA sizes its threads by the cores it can see when JAX is imported, and unpickling
    ``build`` imports JAX; so ``build`` comes with the first message and not with the constructor.
    """

    def __init__(self, cores: Sequence[int] | None):
        if cores is not None and hasattr(os, "sched_setaffinity"):
            available = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {available[core % len(available)] for core in cores})
        self._count: ShardFunction | None = None

    def prepare(self, build: Callable[[Any], ShardFunction], blueprint: Any, needs_gpu: bool) -> None:
        """Build the shard function."""
        if needs_gpu:
            import jax

            if jax.default_backend() == "cpu":
                raise RuntimeError(
                    "this worker was promised a GPU (--gpus-per-worker) and JAX sees none; install JAX for CUDA"
                )
        self._count = build(blueprint)

    def count(self, index: int, shard: Any, message: Any) -> np.ndarray:
        """Answer a message for one shard."""
        assert self._count is not None, "prepare comes first"
        return self._count(index, shard, message)

    def process_id(self) -> int:
        """For tests that kill the worker, and people who look for it."""
        return os.getpid()
