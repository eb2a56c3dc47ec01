"""One mask near the original: nothing to share, hardly anything to leave out."""

import statistics
from time import perf_counter

from experiments.benchmarks import offspring
from experiments.benchmarks.subject import Subject
from fitness.evaluator import LocalEvaluator

REPEATS = 5


def forward_speed(subject: Subject, evaluator: LocalEvaluator) -> dict[str, float | str]:
    """``images_per_second`` of ours under one early mask, and its ``precision``: median of calls after one."""
    mask = offspring.generation("early", subject.genome.layout).parents[:1]
    times = []
    for _ in range(1 + REPEATS):
        started = perf_counter()
        evaluator.evaluate(mask)
        times.append(perf_counter() - started)
    speed = len(subject.images) / statistics.median(times[1:])
    return {"images_per_second": speed, "precision": evaluator.precision}
