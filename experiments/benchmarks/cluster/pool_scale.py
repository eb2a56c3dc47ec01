"""Measures with actors on this machine how busy the pool keeps workers, and the driver's time for a task.

Command: ``python -m experiments.benchmarks.cluster.pool_scale`` (32 actors that sleep 50 to 200 ms; three
minutes). Actors that sleep need no cores, so a small machine can hold many. The tasks come in rounds, as those of
an evaluation do, and workers begin the next round ahead. Utilisation is the workers' own time in tasks whose
answers were used, over the time that ready workers were there.
"""

import json
import random
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.cluster.options import PoolOptions
from engine.cluster.pool import RayPool
from engine.cluster.tasks.calls import Task
from engine.cluster.worker import ShardFunction


def build_sleeper(span: tuple[float, float]) -> ShardFunction:
    """A shard function that sleeps."""
    generator = random.Random()

    def sleep(index: int, shard: Any, message: Any) -> np.ndarray:
        time.sleep(generator.uniform(*span))
        return np.array([index])

    return sleep


@click.command()
@click.option("--workers", default=32, show_default=True)
@click.option("--tasks-per-worker", default=100, show_default=True)
@click.option("--rounds", default=8, show_default=True, help="In which the tasks come.")
@click.option("--times", default=3, show_default=True, help="After one that is not counted.")
@click.option("--span", type=(float, float), default=(0.05, 0.2), show_default=True, help="Seconds of a task.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("bench/pool_scale.json"))
def main(
    workers: int, tasks_per_worker: int, rounds: int, times: int, span: tuple[float, float], json_path: Path
) -> None:
    """Measure a pool of actors that sleep."""
    pool = RayPool(build_sleeper, span, PoolOptions(workers), lambda text: click.echo(text, err=True))
    try:
        count = workers * tasks_per_worker
        tasks = [[Task(0, int(shard)) for shard in part] for part in np.array_split(np.arange(count), rounds)]
        pool.load([None] * count)
        wait_for_all(pool, workers)
        found = [measured(pool, tasks) for _ in range(times + 1)][1:]
    finally:
        pool.close()
    result = {"workers": workers, "tasks": count, "rounds": rounds, "span": span, "times": found}
    for entry in found:
        click.echo(
            f"utilisation {entry['utilisation']:.1%}, {entry['seconds']:.2f} s; the driver used "
            f"{entry['driver_cores']:.2f} cores, {1e3 * entry['driver_seconds_per_task']:.2f} ms a task"
        )
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=2) + "\n")


def wait_for_all(pool: RayPool, workers: int) -> None:
    """Run single tasks until each worker is ready."""
    while pool.figures().ready < workers:
        pool.run([None], [Task(0, 0)])


def measured(pool: RayPool, rounds: list[list[Task]]) -> dict[str, float]:
    """All tasks, round after round."""
    pool.figures()
    cpu, started = time.process_time(), time.perf_counter()
    begun: list[tuple[int, int]] = []
    for tasks, following in zip(rounds, [*rounds[1:], []], strict=True):
        ahead = {place for place, _ in begun}
        new = [task for place, task in enumerate(tasks) if place not in ahead]
        begun = pool.run([None], new, carried=[number for _, number in begun], ahead=following).begun
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
    utilisation = pool.figures().utilisation
    assert utilisation is not None
    return {
        "seconds": seconds,
        "utilisation": utilisation,
        "driver_cores": cpu / seconds,
        "driver_seconds_per_task": cpu / sum(map(len, rounds)),
    }


if __name__ == "__main__":
    main()
