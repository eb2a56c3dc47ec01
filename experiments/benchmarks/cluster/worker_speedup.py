"""Two single-core workers against one: seconds for the same masks, in turn.

Command: ``python -m experiments.benchmarks.cluster.worker_speedup --model DIR --data cifar10``; about ten
minutes for a full-size VGG-16. Expect a little less than the number of cores.
"""

import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from engine.cluster.options import PoolOptions
from experiments.benchmarks.scaling import late_offspring
from experiments.benchmarks.subject import load_subject, subject_options
from fitness.evaluation.evaluator import CPU_BATCH, RayEvaluator

WORKERS = (1, 2)


@click.command()
@subject_options(images=1024)
@click.option("--offspring", default=20, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="After one that is not counted.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("bench/worker_speedup.json"))
def main(offspring: int, rounds: int, json_path: Path, **options: Any) -> None:
    """Measure what a second worker brings."""
    subject = load_subject(**options)
    masks = late_offspring(subject, offspring)
    data = (subject.model, subject.genome.layout, subject.images, subject.labels, CPU_BATCH)
    times: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for number in range(rounds):
        for workers in WORKERS:
            with RayEvaluator(*data, PoolOptions(workers), lambda text: click.echo(text, err=True)) as evaluator:
                evaluator.evaluate(masks)
                started = perf_counter()
                evaluator.evaluate(masks)
                times[workers].append(perf_counter() - started)
            click.echo(f"round {number}, {workers} workers: {times[workers][-1]:.2f} s", err=True)
    ratios = [one / two for one, two in zip(times[1], times[2], strict=True)]
    middle = statistics.median(ratios)
    click.echo(f"2 workers are {middle:.2f} times as fast as 1 ({min(ratios):.2f} to {max(ratios):.2f})")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps({"seconds": times, "ratios": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
