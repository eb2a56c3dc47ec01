"""Compares our evaluation of whole generations with plain loops over masks in PyTorch and in JAX.

Command: ``make bench``, or ``python -m experiments.benchmarks.generations --help``. With all four generations of
a full-size VGG-16 on 2,000 images it takes hours on 2 cores; ``--generation late-20 --images 500`` takes minutes.
Expect predicted classes to differ for hardly any image. ``docs/benchmarks.md`` explains the ratios.

The contenders take turns; a ratio is of one round, and median, smallest and largest are given. Other work on the
machine does not slow all of them alike, so its share is measured, and figures taken beside it are marked.
PyTorch's part is left out where it is not installed.
"""

import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from experiments.benchmarks import machine, offspring
from experiments.benchmarks.contention import Contention
from experiments.benchmarks.figures import generations_figure
from experiments.benchmarks.generations_text import as_text
from experiments.benchmarks.rivals.loops import Loop, evenly, rivals, seconds_per_mask, spread
from experiments.benchmarks.subject import Subject, load_subject, subject_options
from fitness.evaluation.evaluator import LocalEvaluator

FORWARD_REPEATS = 5
GENERATIONS = tuple(f"{name}-{count}" for name in ("early", "late") for count in (20, 180))


@click.command()
@subject_options(images=2000)
@click.option("--generation", "names", multiple=True, type=click.Choice(GENERATIONS), default=GENERATIONS)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--loop-masks",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Masks that a loop is timed on; then scaled.",
)
@click.option(
    "--jax-images",
    default=256,
    show_default=True,
    type=click.IntRange(1),
    help="Images for plain JAX; then scaled.",
)
@click.option(
    "--check-masks",
    default=2,
    show_default=True,
    type=click.IntRange(0),
    help="Masks whose predictions are compared.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("bench/generations.json"))
@click.option("--plot", type=click.Path(path_type=Path), default=Path("bench/generations.png"))
def main(
    names: tuple[str, ...],
    rounds: int,
    loop_masks: int,
    jax_images: int,
    check_masks: int,
    json_path: Path,
    plot: Path,
    **options: Any,
) -> None:
    """Time generations of masks against plain loops over masks."""
    subject = load_subject(**options)
    for path in (json_path, plot):
        path.parent.mkdir(parents=True, exist_ok=True)
    evaluator = subject.evaluator()
    loops = rivals(subject, jax_images)
    results: dict[str, Any] = {
        "subject": subject.source,
        "machine": machine.describe(),
        "peaks": machine.matmul_peaks(),
        "images": len(subject.images),
        "original_macs": subject.original_macs,
        "compile_seconds": evaluator.compile(),
        "forward": _forward_speed(subject, evaluator),
    }
    results["generations"] = []
    for name in names:
        masks, entry = find_masks(subject, name)
        click.echo(f"{name}: {entry['offspring']} offspring, {len(masks)} to evaluate ...", err=True)
        timed = masks[evenly(len(masks), loop_masks)]
        contention = Contention()
        counts, times = compare(subject, evaluator, loops, masks, timed, rounds)
        entry.update(times, busy_elsewhere=contention.share())
        if check_masks:
            rows = evenly(len(masks), check_masks)
            entry["agreement"] = agreement(subject, evaluator, loops, masks[rows], counts[rows])
        results["generations"].append(entry)
        results["peaks"] = machine.best_of(results["peaks"], machine.matmul_peaks())
        # After every generation: a long run that is stopped leaves what it has measured.
        json_path.write_text(json.dumps(results, indent=2) + "\n")
    click.echo(as_text(results))
    generations_figure(results).savefig(plot, dpi=150)


def find_masks(subject: Subject, name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The masks ``bool[n, f]`` of a generation that a search would evaluate, and what they are."""
    stage, _, count = name.partition("-")
    found = offspring.generation(stage, subject.genome.layout)
    masks = offspring.distinct(found.stored[int(count)], found.parents)
    original, left = subject.genome(subject.genome.layout.full()[None]), subject.genome(masks)
    return masks, {
        "name": name,
        "source": found.source,
        "offspring": int(count),
        "distinct": len(masks),
        "parameters_removed": 1 - float(left.parameters.mean() / original.parameters[0]),
        "macs": int(left.macs.sum()),
    }


def compare(
    subject: Subject,
    evaluator: LocalEvaluator,
    loops: list[Loop],
    masks: np.ndarray,
    timed: np.ndarray,
    rounds: int,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Our counts of ``masks``, and seconds for all of them, in turn, after one call.

    Ours are measured, the loops' scaled from ``timed``.
    """
    counts, first = _evaluated(evaluator, masks)
    for loop in loops:
        loop.count(timed[0])
    ours: list[float] = []
    theirs: dict[str, list[float]] = {loop.name: [] for loop in loops}
    for _ in range(rounds):
        again, seconds = _evaluated(evaluator, masks)
        assert np.array_equal(again, counts), "the same masks got other counts"
        ours.append(seconds)
        for loop in loops:
            theirs[loop.name].append(seconds_per_mask(loop, timed, len(subject.images)) * len(masks))
    return counts, {
        "ours": {**spread(ours), "rounds": ours, "first": first, "compiling": first - statistics.median(ours)},
        "rivals": {
            loop.name: {
                **spread(theirs[loop.name]),
                "rounds": theirs[loop.name],
                "ratio": spread([b / a for a, b in zip(ours, theirs[loop.name], strict=True)]),
                "timed_masks": len(timed),
                "timed_images": loop.total,
            }
            for loop in loops
        },
    }


def agreement(
    subject: Subject, evaluator: LocalEvaluator, loops: list[Loop], masks: np.ndarray, counts: np.ndarray
) -> dict[str, Any]:
    """Images, over all of ``masks``, for which a loop predicts another class than ours.

    Predictions stand for what was timed only if ``counts`` are theirs, so that is looked at first.
    """
    found: dict[str, Any] = {loop.name: {"differing": 0, "images": 0} for loop in loops}
    found["ours"] = {"differing": 0, "images": 0}
    for mask, count in zip(masks, counts, strict=True):
        ours = evaluator.predict(mask)
        found["ours"]["differing"] += abs(int(count) - int(np.count_nonzero(ours == subject.labels)))
        found["ours"]["images"] += len(ours)
        for loop in loops:
            differing = np.count_nonzero(loop.predict(mask) != ours[: loop.total])
            found[loop.name]["differing"] += int(differing)
            found[loop.name]["images"] += loop.total
    return found


def _evaluated(evaluator: LocalEvaluator, masks: np.ndarray) -> tuple[np.ndarray, float]:
    """Counts and seconds."""
    started = perf_counter()
    counts = evaluator.evaluate(masks)
    return counts, perf_counter() - started


def _forward_speed(subject: Subject, evaluator: LocalEvaluator) -> dict[str, float | str]:
    """``images_per_second`` of ours under one early mask, and its ``precision``: the median of repeated calls.

    A mask near the original leaves almost nothing to share or to leave out.
    """
    mask = offspring.generation("early", subject.genome.layout).parents[:1]
    times = []
    for _ in range(1 + FORWARD_REPEATS):
        started = perf_counter()
        evaluator.evaluate(mask)
        times.append(perf_counter() - started)
    # The first call compiles.
    speed = len(subject.images) / statistics.median(times[1:])
    return {"images_per_second": speed, "precision": evaluator.precision}


if __name__ == "__main__":
    main()
