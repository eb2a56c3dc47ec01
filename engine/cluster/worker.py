"""The Ray actor that evaluates shards, pinned to its cores before it imports JAX."""

import os
import socket
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

ShardFunction = Callable[[int, Any, Any], np.ndarray]
"""(number of the shard, shard, message) -> answer."""


class Whereabouts(NamedTuple):
    """Where a worker runs. ``cores``: cores that its process may use; None if unknown."""

    host: str
    process_id: int
    cores: tuple[int, ...] | None


class Worker:
    """First :meth:`whereabouts`, then :meth:`pin`, then :meth:`prepare`, then :meth:`count` for each task.

    The order matters. XLA sizes its thread pools by the cores that it sees when JAX starts, and unpickling
    ``build`` imports JAX. So ``build`` comes with a later call than the cores.
    """

    def __init__(self) -> None:
        self._count: ShardFunction | None = None

    def whereabouts(self) -> Whereabouts:
        """Where this worker runs."""
        cores = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None
        return Whereabouts(socket.gethostname(), os.getpid(), cores)

    def pin(self, cores: Sequence[int]) -> None:
        """Use only these cores."""
        os.sched_setaffinity(0, cores)

    def prepare(self, build: Callable[[Any], ShardFunction], blueprint: Any, needs_gpu: bool) -> None:
        """Build the shard function.

        Raises:
            RuntimeError: JAX does not see the worker's GPU.
        """
        if needs_gpu:
            import jax

            try:
                sees_none = jax.default_backend() == "cpu"
            # So JAX refuses JAX_PLATFORMS of this node.
            except (RuntimeError, AssertionError):
                sees_none = True
            if sees_none:
                raise RuntimeError(
                    "this worker was promised a GPU (`gpus_per_worker`) and JAX sees none; install JAX for CUDA"
                )
        self._count = build(blueprint)

    def count(self, index: int, shard: Any, message: Any) -> tuple[np.ndarray, float]:
        """The answer to a message for one shard, and the seconds spent on it."""
        assert self._count is not None, "prepare comes first"
        started = perf_counter()
        return self._count(index, shard, message), perf_counter() - started
