"""A search's figures as Ray application metrics, which the Ray dashboard and Prometheus show.

https://docs.ray.io/en/latest/ray-observability/user-guides/add-app-metrics.html. The driver sets them.
A driver that connects as a Ray client (``ray://``) is outside the cluster, so Ray does not show its metrics.
"""

import math
from time import perf_counter
from typing import Any

from engine.cluster.figures import PoolFigures
from engine.search.state import SearchState
from experiments.progress import Reporter
from models.training.loop import Progress

_OF_BEST = {
    "score": "Score of BEST.",
    "accuracy_drop": "Accuracy drop of BEST on the fitness images, percent.",
    "parameter_drop": "Parameters dropped by BEST, percent.",
    "mac_drop": "MACs dropped by BEST, percent.",
    "latency_drop": "Latency dropped by BEST, percent; only where the search rewards it.",
}
_OF_SEARCH = {
    "generation": "Generations finished.",
    "evaluations": "Masks evaluated.",
    "evaluations_per_second": "Masks evaluated per second in the last generation.",
    "highest_score": "Highest score in the population.",
}
_OF_WORKERS = {
    "ready": "Workers that are ready.",
    "wanted": "Workers that were asked for.",
    "replaced": "Workers lost, or sent away, after they had been ready.",
    "in_flight": "Tasks under way.",
    "utilisation": "Share of the workers' time in which they computed what was needed, 0 to 1.",
}


class RayMetrics:
    """A reporter that also sets gauges, tagged with the run; another reporter hears everything first.

    The gauges are made with the first news: by then the driver is connected.
    """

    def __init__(self, reporter: Reporter, run: str):
        self._reporter = reporter
        self._run = run
        self._gauges: dict[str, Any] = {}
        self._evaluations: int | None = None
        self._since = perf_counter()

    def message(self, text: str) -> None:
        """See :class:`experiments.progress.Reporter`."""
        self._reporter.message(text)

    def training(self, progress: Progress) -> None:
        """See :class:`experiments.progress.Reporter`."""
        self._reporter.training(progress)

    def first_generation(self, evaluations: int) -> None:
        """See :class:`experiments.progress.Reporter`."""
        self._reporter.first_generation(evaluations)

    def generation(self, state: SearchState, total: int) -> None:
        """BEST, the population and evaluations/s."""
        self._reporter.generation(state, total)
        best = state.best
        figures: dict[str, float] = {"score": best.individual.score, **best.figures}
        for name, description in _OF_BEST.items():
            if name in figures:
                self._set(f"best_{name}", description, figures[name])
        now = perf_counter()
        rate = 0.0
        if self._evaluations is not None:
            rate = (state.evaluations - self._evaluations) / max(now - self._since, 1e-9)
        self._evaluations, self._since = state.evaluations, now
        values = {
            "generation": state.generation,
            "evaluations": state.evaluations,
            "evaluations_per_second": rate,
            "highest_score": max(individual.score for individual in state.population),
        }
        for name, description in _OF_SEARCH.items():
            self._set(name, description, values[name])

    def finish(self, judged: int, most: int) -> None:
        """See :class:`experiments.progress.Reporter`."""
        self._reporter.finish(judged, most)

    def workers(self, figures: PoolFigures) -> None:
        """Workers and tasks."""
        self._reporter.workers(figures)
        for name, description in _OF_WORKERS.items():
            value = getattr(figures, name)
            if value is not None:
                self._set(f"workers_{name}", description, value)

    def _set(self, name: str, description: str, value: float) -> None:
        if not math.isfinite(value):
            return
        if name not in self._gauges:
            from ray.util.metrics import Gauge

            self._gauges[name] = Gauge(f"evoprune_{name}", description=description, tag_keys=("run",))
        self._gauges[name].set(float(value), tags={"run": self._run})


def with_metrics(reporter: Reporter, backend: str, run: str) -> Reporter:
    """The same reporter, which sets metrics too where the backend is Ray."""
    return RayMetrics(reporter, run) if backend == "ray" else reporter
