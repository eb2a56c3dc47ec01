"""A pool of Ray actors that answers, for each shard of the data, one message.

Written on ``ray.wait``: with ``ray.util.ActorPool`` one dead actor wedges the pool. Results are keyed by
shard, so work that is done twice does no harm. An actor that dies, or fails twice, is replaced; a shard
that fails again and again ends the run with its cause.

Ray is imported only when a pool is made.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import BackendError, EvaluationError
from engine.pool_options import PoolOptions
from engine.ray_session import cause_of, connect, import_ray
from engine.worker import ShardFunction, Worker

ATTEMPTS = 3
"""How often a shard may fail, each time on another actor if there is one, before the run ends."""


@dataclass(eq=False)
class _Handle:
    actor: Any
    rank: int
    ready: Any
    shards: set[int]
    failures: int = 0


class RayPool:
    """Actors that each hold the network, and take shards as they become idle."""

    def __init__(
        self,
        build: Callable[[Any], ShardFunction],
        blueprint: Any,
        options: PoolOptions,
        warn: Callable[[str], None],
    ):
        """``build(blueprint)`` runs in each worker and gives ``(index, shard, message) -> result``.

        Raises:
            BackendError: Ray is not installed, not to be reached, or too small for the workers.
        """
        self._ray = import_ray()
        self._options = options
        self._warn = warn
        self.replaced = 0
        self._owns_ray = connect(self._ray, options, warn)
        try:
            self._check_room()
            self._build = build
            self._blueprint = self._ray.put(blueprint)
            self._shards: list[Any] = []
            self._workers = [self._hire(rank) for rank in range(options.workers)]
        except BaseException:
            self.close()
            raise

    def load(self, shards: Sequence[Any]) -> None:
        """Take these shards, numbered from 0, instead of any before."""
        self._shards = [self._ray.put(shard) for shard in shards]
        for worker in self._workers:
            worker.shards.clear()

    def run(self, message: Any, shards: Sequence[int]) -> list[np.ndarray]:
        """The answers of some shards to one message, in their order.

        Raises:
            EvaluationError: a shard failed on several workers.
        """
        ray = self._ray
        message_ref = ray.put(message)
        pending = deque(shards)
        failures: Counter[int] = Counter()
        results: dict[int, np.ndarray] = {}
        flying: dict[Any, tuple[_Handle, int]] = {}
        idle = deque(self._workers)
        while len(results) < len(shards):
            while idle and pending:
                worker = idle.popleft()
                # A shard that already lies on this worker's device needs no transfer.
                shard = next((index for index in pending if index in worker.shards), pending[0])
                pending.remove(shard)
                ref = worker.actor.count.remote(shard, self._shards[shard], message_ref)
                flying[ref] = (worker, shard)
            [ref], _ = ray.wait(list(flying), num_returns=1)
            worker, shard = flying.pop(ref)
            try:
                results[shard] = ray.get(ref)
            except ray.exceptions.RayError as raised:
                error = self._firstcause_of(worker, raised)
                failures[shard] += 1
                if failures[shard] >= ATTEMPTS:
                    raise EvaluationError(
                        f"shard {shard} failed {ATTEMPTS} times, the last time with: {cause_of(error)}"
                    ) from error
                pending.append(shard)
                worker = self._mended(worker, error)
            else:
                worker.shards.add(shard)
            idle.append(worker)
        return [results[index] for index in shards]

    def close(self) -> None:
        """End the workers, and Ray if this pool started it."""
        if self._owns_ray:
            self._ray.shutdown()
        else:
            for worker in getattr(self, "_workers", []):
                self._ray.kill(worker.actor)
        self._workers = []

    def process_ids(self) -> list[int]:
        """Process id of each worker (on its own node)."""
        return [self._ray.get(worker.actor.process_id.remote()) for worker in self._workers]

    def _mended(self, worker: _Handle, error: Exception) -> _Handle:
        """The worker if it may have another try, else its replacement."""
        worker.failures += 1
        if not isinstance(error, self._ray.exceptions.RayActorError) and worker.failures < 2:
            return worker
        self._warn(f"worker {worker.rank} is replaced: {cause_of(error)}")
        self._ray.kill(worker.actor)
        replacement = self._hire(worker.rank)
        self._workers[self._workers.index(worker)] = replacement
        self.replaced += 1
        return replacement

    def _firstcause_of(self, worker: _Handle, error: Exception) -> Exception:
        """What went wrong while the worker was prepared, if anything, else ``error``."""
        try:
            self._ray.get(worker.ready)
        except self._ray.exceptions.RayError as first:
            return first
        return error

    def _hire(self, rank: int) -> _Handle:
        options = self._options
        on_gpu = options.gpus_per_worker > 0
        cores = None if on_gpu else range(rank * options.cpus_per_worker, (rank + 1) * options.cpus_per_worker)
        variables = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if on_gpu else {"JAX_PLATFORMS": "cpu"}
        actor_class = self._ray.remote(
            num_cpus=options.cpus_per_worker,
            num_gpus=options.gpus_per_worker,
            max_restarts=0,
            runtime_env={"env_vars": variables},
        )(Worker)
        actor = actor_class.remote(cores)
        # Not waited for: the calls of an actor run in order, and a failure shows with the first count.
        ready = actor.prepare.remote(self._build, self._blueprint, on_gpu)
        return _Handle(actor, rank, ready, set())

    def _check_room(self) -> None:
        have = self._ray.cluster_resources()
        wanted = {
            ("CPU", "--cpus-per-worker"): self._options.cpus_per_worker,
            ("GPU", "--gpus-per-worker"): self._options.gpus_per_worker,
        }
        for (resource, option), each in wanted.items():
            needed = each * self._options.workers
            if needed > have.get(resource, 0):
                raise BackendError(
                    f"--workers {self._options.workers} with {option} {each:g} need {needed:g} {resource}s and "
                    f"the Ray cluster has {have.get(resource, 0):g}; lower one of them or add nodes."
                )
