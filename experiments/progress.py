"""What a person sees while work is under way: on standard error, so that standard output stays clean."""

import sys
from time import perf_counter
from typing import Protocol

from tqdm import tqdm

from engine.pool_figures import PoolFigures
from engine.state import SearchState
from models.training import Progress


class Reporter(Protocol):
    """Receives news from long work. The default, :class:`Silent`, ignores it."""

    def message(self, text: str) -> None:
        """A sentence for the user."""
        ...

    def training(self, progress: Progress) -> None:
        """A training step."""
        ...

    def founding(self, evaluations: int) -> None:
        """Generation 0 is under way, with so many masks evaluated."""
        ...

    def generation(self, state: SearchState, total: int) -> None:
        """A finished generation of ``total``."""
        ...

    def workers(self, figures: PoolFigures) -> None:
        """How the workers are doing, about once a second."""
        ...


class Silent:
    """Reports nothing; for the Python API."""

    def message(self, text: str) -> None:
        """See :class:`Reporter`."""

    def training(self, progress: Progress) -> None:
        """See :class:`Reporter`."""

    def founding(self, evaluations: int) -> None:
        """See :class:`Reporter`."""

    def generation(self, state: SearchState, total: int) -> None:
        """See :class:`Reporter`."""

    def workers(self, figures: PoolFigures) -> None:
        """See :class:`Reporter`."""


class Terminal:
    """Progress bars and sentences on standard error."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._founding = False
        self._figures = ""
        self._started = perf_counter()
        self._evaluations_before = 0

    def message(self, text: str) -> None:
        """See :class:`Reporter`."""
        tqdm.write(text, file=sys.stderr)

    def training(self, progress: Progress) -> None:
        """Loss, accuracy and images/s, one bar an epoch."""
        if self._bar is None:
            label = f"epoch {progress.epoch}/{progress.epochs}"
            self._bar = tqdm(total=progress.steps, desc=label, unit="step", file=sys.stderr)
        self._bar.update(progress.step - self._bar.n)
        self._bar.set_postfix_str(
            f"loss {progress.loss:.3f}, accuracy {100 * progress.accuracy:.1f}%, "
            f"{progress.images_per_second:,.0f} images/s"
        )
        if progress.step == progress.steps:
            self.close()

    def founding(self, evaluations: int) -> None:
        """Masks evaluated; how many there will be nobody knows."""
        if self._bar is None or not self._founding:
            self.close()
            self._bar = tqdm(desc="generation 0", unit="mask", file=sys.stderr)
            self._founding = True
        self._bar.update(evaluations - self._bar.n)

    def generation(self, state: SearchState, total: int) -> None:
        """Generation, BEST's score and drops, the islands' range, evaluations/s and time left."""
        # A generation that is no later than the last one is another search's.
        if self._founding or (self._bar is not None and state.generation <= self._bar.n):
            self.close()
        if self._bar is None:
            self._started = perf_counter()
            self._evaluations_before = state.evaluations
            self._bar = tqdm(
                total=total, initial=state.generation, desc="generation", unit="gen", file=sys.stderr
            )
        self._bar.update(state.generation - self._bar.n)
        best = state.best
        rate = (state.evaluations - self._evaluations_before) / max(perf_counter() - self._started, 1e-9)
        figures = [f"BEST {best.individual.score:.2f}"]
        for name in ("accuracy", "parameter", "mac", "latency"):
            if f"{name}_drop" in best.figures:
                figures.append(f"{name} drop {best.figures[f'{name}_drop']:.2f}%")
        if len(state.islands) > 1:
            highest = [max(individual.score for individual in island.population) for island in state.islands]
            figures.append(f"{len(highest)} islands at {min(highest):.2f} to {max(highest):.2f}")
        if state.front is not None:
            figures.append(f"front of {len(state.front):,}")
        if state.stopped:
            figures.append(f"{state.stopped:,} stopped early")
        self._figures = ", ".join([*figures, f"{rate:.1f} evaluations/s"])
        self._bar.set_postfix_str(self._figures)
        if state.generation >= total:
            self.close()

    def workers(self, figures: PoolFigures) -> None:
        """Workers, behind what the last generation gave."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._figures}, {figures}")

    def close(self) -> None:
        """End the bar, leaving its last line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._founding = False
