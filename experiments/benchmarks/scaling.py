"""Measures our time for a generation by its size and by the sparsity of its masks, and the peak memory.

Command: ``python -m experiments.benchmarks.scaling`` (cost), with ``--memory`` for the peak memory of 20 and of
1,000 offspring. At 300 images/s (a full-size VGG-16 on 2 cores) and 256 images allow an hour for the first and
a quarter of that for the second. Expect a ratio of memory near 1; ``docs/benchmarks.md`` has the costs.

All offspring have one set of parents: all pairs are crossed and mutated repeatedly, without clones.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from experiments.benchmarks import machine, offspring
from experiments.benchmarks.figures import scaling_figure
from experiments.benchmarks.machine import device_peak, resident_peak
from experiments.benchmarks.subject import Subject, load_subject, subject_options
from experiments.markdown import table
from fitness.evaluation.evaluator import LocalEvaluator

COUNTS = (1, 5, 20, 60, 180, 500, 1000)
SHARES = (0, 10, 20, 30, 40, 50, 60, 70)
SHARE_OFFSPRING = 20
MEMORY_COUNTS = (20, 1000)


@click.command()
@subject_options(images=256)
@click.option("--count", "counts", multiple=True, type=int, default=COUNTS, show_default=True)
@click.option("--share", "shares", multiple=True, type=int, default=SHARES, show_default=True)
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="After a first call.")
@click.option("--memory", is_flag=True, help="Peak memory of 20 and 1,000 offspring instead.")
@click.option("--point", type=int, hidden=True, help="One point of --memory, in a process of its own.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("bench/scaling.json"))
@click.option("--plot", type=click.Path(path_type=Path), default=Path("bench/scaling.png"))
def main(
    counts: tuple[int, ...],
    shares: tuple[int, ...],
    rounds: int,
    memory: bool,
    point: int | None,
    json_path: Path,
    plot: Path,
    **options: Any,
) -> None:
    """Cost against the number of offspring and the share of parameters removed."""
    if point is not None:
        click.echo(json.dumps(memory_point(load_subject(**options), point)))
        return
    if memory:
        compare_memory()
        return
    subject = load_subject(**options)
    evaluator = subject.evaluator()
    results: dict[str, Any] = {
        "subject": subject.source,
        "machine": machine.describe(),
        "compile_seconds": evaluator.compile(),
        "by_count": by_count(subject, evaluator, counts, rounds),
        "by_share": by_share(subject, evaluator, shares, rounds),
    }
    click.echo(results["subject"])
    for key in ("by_count", "by_share"):
        click.echo("\n" + _as_table(results[key]))
    for path in (json_path, plot):
        path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(results, indent=2) + "\n")
    scaling_figure(results).savefig(plot, dpi=150)


def by_count(
    subject: Subject, evaluator: LocalEvaluator, counts: tuple[int, ...], rounds: int
) -> list[dict[str, float]]:
    """The late generation, larger and larger."""
    return [measure(subject, evaluator, late_offspring(subject, count), rounds) for count in counts]


def late_offspring(subject: Subject, count: int) -> np.ndarray:
    """``count`` distinct offspring ``bool[count, f]`` of the late parents."""
    late = offspring.generation("late", subject.genome.layout)
    return offspring.many(subject.genome.layout, late.parents, count)


def by_share(
    subject: Subject, evaluator: LocalEvaluator, shares: tuple[int, ...], rounds: int
) -> list[dict[str, float]]:
    """20 offspring of synthetic parents that have lost more and more.

    A kernel loses what its inputs and its outputs lose, so a share s of the parameters is gone when
    1 - sqrt(1 - s) of the filters are; the share that it came to is measured.
    """
    found = []
    for share in shares:
        parents = offspring.synthetic_parents(subject.genome.layout, 1 - (1 - share / 100) ** 0.5)
        masks = offspring.many(subject.genome.layout, parents, SHARE_OFFSPRING)
        found.append(measure(subject, evaluator, masks, rounds))
    return found


def measure(subject: Subject, evaluator: LocalEvaluator, masks: np.ndarray, rounds: int) -> dict[str, float]:
    """Seconds of a first call, which may compile, and the median of later ones."""
    times = []
    for _ in range(1 + rounds):
        started = perf_counter()
        evaluator.evaluate(masks)
        times.append(perf_counter() - started)
    seconds = statistics.median(times[1:])
    original = subject.genome(subject.genome.layout.full()[None]).parameters[0]
    removed = 1 - float(subject.genome(masks).parameters.mean() / original)
    click.echo(f"{len(masks)} offspring, {removed:.1%} removed: {seconds:.2f} s", err=True)
    return {
        "offspring": len(masks),
        "parameters_removed": removed,
        "first_seconds": times[0],
        "seconds": seconds,
        "seconds_per_offspring": seconds / len(masks),
    }


def memory_point(subject: Subject, count: int) -> dict[str, int | None]:
    """Peak memory of this process in bytes, before and after it evaluates ``count`` offspring."""
    masks = late_offspring(subject, count)
    evaluator = subject.evaluator()
    evaluator.compile()
    before = resident_peak()
    evaluator.evaluate(masks)
    return {"offspring": len(masks), "before": before, "resident": resident_peak(), "device": device_peak()}


def compare_memory() -> None:
    """Each point in a process of its own, because a peak never falls; this one leaves the device alone."""
    points = []
    for count in MEMORY_COUNTS:
        command = [sys.executable, "-m", "experiments.benchmarks.scaling", *sys.argv[1:], "--point", str(count)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        points.append(json.loads(output.splitlines()[-1]))
        click.echo(points[-1])
    for key in ("resident", "device"):
        if all(found[key] for found in points):
            ratio = points[-1][key] / points[0][key]
            click.echo(f"{key} peak, {points[-1]['offspring']} offspring / {points[0]['offspring']}: {ratio:.2f}")


def _as_table(points: list[dict[str, float]]) -> str:
    header = ["offspring", "parameters removed", "first call (s)", "later (s)", "an offspring (s)"]
    return table(
        header,
        [
            [
                f"{point['offspring']}",
                f"{point['parameters_removed']:.1%}",
                f"{point['first_seconds']:.2f}",
                f"{point['seconds']:.2f}",
                f"{point['seconds_per_offspring']:.4f}",
            ]
            for point in points
        ],
    )


if __name__ == "__main__":
    main()
