"""The Ray actor that evaluates: pinned to its cores before it imports JAX."""

import os
import socket
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

ShardFunction = Callable[[int, Any, Any], np.ndarray]
"""``(shard's number, shard, message) -> answer``."""


class Whereabouts(NamedTuple):
    """Where a worker runs. ``cores``: those that its process may use; None where that cannot be told."""

    host: str
    process_id: int
    cores: tuple[int, ...] | None


class Worker:
    """First :meth:`whereabouts`, then :meth:`pin`, then :meth:`prepare`, then :meth:`count` for each task.

    The order matters: XLA sizes its threads by the cores it can see when JAX starts, and unpickling ``build``
    imports JAX; so ``build`` comes with a later message than the cores.
    """

    def __init__(self) -> None:
        self._count: ShardFunction | None = None

    def whereabouts(self) -> Whereabouts:
        """Where this worker runs."""
        cores = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None
        return Whereabouts(socket.gethostname(), os.getpid(), cores)

    def pin(self, cores: Sequence[int]) -> None:
        """Use these cores only."""
        os.sched_setaffinity(0, cores)

    def prepare(self, build: Callable[[Any], ShardFunction], blueprint: Any, needs_gpu: bool) -> None:
        """Build the shard function.

        Raises:
            RuntimeError: JAX does not see the GPU that this worker was promised.
        """
        if needs_gpu:
            import jax

            if jax.default_backend() == "cpu":
                raise RuntimeError(
                    "this worker was promised a GPU (--gpus-per-worker) and JAX sees none; install JAX for CUDA"
                )
        self._count = build(blueprint)

    def count(self, index: int, shard: Any, message: Any) -> tuple[np.ndarray, float]:
        """The answer to a message for one shard, and the seconds that it took."""
        assert self._count is not None, "prepare comes first"
        started = perf_counter()
        return self._count(index, shard, message), perf_counter() - started
