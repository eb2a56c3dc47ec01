"""Progress of long work: the ``Reporter`` that work talks to, and the terminal that shows it."""

import shutil
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol, TextIO

from engine.cluster.figures import PoolFigures
from engine.search.state import SearchState
from models.training.loop import Progress

_EVERY_ON_A_TERMINAL = 0.1
_EVERY_IN_A_LOG = 30.0
"""Seconds between two states of the progress line."""

_FIGURES = {"parameter": "parameters", "mac": "MACs", "latency": "latency", "accuracy": "accuracy"}
"""What the progress line calls the drops of BEST."""


class Reporter(Protocol):
    """Receives news from long work. The default, :class:`Silent`, ignores it."""

    def message(self, text: str) -> None:
        """A sentence for the user, which may name fields in backquotes."""
        ...

    def training(self, progress: Progress) -> None:
        """A training step."""
        ...

    def first_generation(self, evaluations: int) -> None:
        """Generation 0 is under way, with ``evaluations`` masks evaluated."""
        ...

    def generation(self, state: SearchState, total: int) -> None:
        """A finished generation of ``total``."""
        ...

    def finish(self, judged: int, most: int) -> None:
        """The finish is under way, with ``judged`` candidates judged of at most ``most``; equal at the end."""
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

    def first_generation(self, evaluations: int) -> None:
        """See :class:`Reporter`."""

    def generation(self, state: SearchState, total: int) -> None:
        """See :class:`Reporter`."""

    def finish(self, judged: int, most: int) -> None:
        """See :class:`Reporter`."""

    def workers(self, figures: PoolFigures) -> None:
        """See :class:`Reporter`."""


class Line:
    """One line on standard error that is written over while work goes on; in a log, a line now and then."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """``stream``: in the place of standard error."""
        self._stream = stream
        self._text = ""
        self._shown = ""
        self._next = 0.0

    def show(self, parts: Sequence[str]) -> None:
        """Show the first parts that fit, joined by commas, unless the line has just been written."""
        self._text = self._fitted(parts)
        now = perf_counter()
        if now >= self._next:
            self._next = now + (_EVERY_ON_A_TERMINAL if self._on_terminal() else _EVERY_IN_A_LOG)
            self._write()

    def above(self, text: str) -> None:
        """Write a sentence above the line."""
        over = self._on_terminal() and self._shown
        self._out.write(("\r\x1b[K" if over else "") + text + "\n" + (self._shown if over else ""))
        self._out.flush()

    def end(self) -> None:
        """Leave the line as it was shown last; what comes next begins another one."""
        if self._text != self._shown:
            self._write()
        if self._shown and self._on_terminal():
            self._out.write("\n")
            self._out.flush()
        self._text = self._shown = ""
        self._next = 0.0

    def _write(self) -> None:
        self._out.write(f"\r\x1b[K{self._text}" if self._on_terminal() else self._text + "\n")
        self._out.flush()
        self._shown = self._text

    def _fitted(self, parts: Sequence[str]) -> str:
        if not self._on_terminal():
            return ", ".join(parts)
        # The cursor needs a column behind the text.
        width = max(20, shutil.get_terminal_size().columns - 1)
        text = ""
        for part in parts:
            longer = f"{text}, {part}" if text else part
            if len(longer) > width:
                break
            text = longer
        return text or parts[0][:width]

    @property
    def _out(self) -> TextIO:
        return self._stream or sys.stderr

    def _on_terminal(self) -> bool:
        return self._out.isatty()


class Terminal:
    """Sentences and one progress line on standard error."""

    def __init__(self, spell: Callable[[str], str] = str, stream: TextIO | None = None) -> None:
        """``spell`` turns the fields that a sentence names into options; ``stream`` replaces standard error."""
        self._spell = spell
        self._line = Line(stream)
        self._kind = ""
        self._figures: list[str] = []
        self._started = perf_counter()
        self._first = 0
        self._reached = 0
        self._evaluations_before = 0

    def message(self, text: str) -> None:
        """See :class:`Reporter`."""
        self._line.above(self._spell(text))

    def training(self, progress: Progress) -> None:
        """Epoch, step, loss, accuracy, time left and images/s."""
        done = (progress.epoch - 1) * progress.steps + progress.step
        total = progress.epochs * progress.steps
        self._begin("training", done)
        self._line.show(
            [
                f"epoch {progress.epoch}/{progress.epochs}",
                f"step {progress.step}/{progress.steps}",
                f"loss {progress.loss:.3f}",
                f"accuracy {100 * progress.accuracy:.1f}%",
                *self._left(done, total),
                f"{progress.images_per_second:,.0f} images/s",
            ]
        )
        if done == total:
            self.close()

    def first_generation(self, evaluations: int) -> None:
        """Masks evaluated for generation 0. Their number in the end is unknown."""
        self._begin("first generation", evaluations)
        self._line.show(["generation 0", f"{evaluations:,} masks evaluated"])

    def generation(self, state: SearchState, total: int) -> None:
        """Generation, what BEST drops, time left; then score, islands, front and evaluations/s.

        Where a mask beyond the threshold, which a refit may bring back, has a higher score: this one before BEST.
        """
        if self._begin("search", state.generation):
            self._evaluations_before = state.evaluations
        best, leading = state.best, max(state.population, key=lambda each: each.score)
        of_best = [
            f"{noun} {0 - best.figures[f'{figure}_drop']:+.2f}%"
            for figure, noun in _FIGURES.items()
            if f"{figure}_drop" in best.figures
        ]
        score, left = f"BEST {best.individual.score:.2f}", self._left(state.generation, total)
        if state.reach is None or leading.score <= best.individual.score:
            figures = [*of_best, *left, score]
        else:
            # BEST may stand still while the search goes beyond the threshold.
            drop = 100 * (state.original_correct - leading.correct) / state.original_correct
            figures = [f"before a refit {leading.score:.2f} at accuracy {0 - drop:+.2f}%", *left, score, *of_best]
        figures.insert(0, f"generation {state.generation}/{total}")
        if len(state.islands) > 1:
            highest = [max(individual.score for individual in island.population) for island in state.islands]
            figures.append(f"{len(highest)} islands at {min(highest):.2f} to {max(highest):.2f}")
        if state.front is not None:
            figures.append(f"front of {len(state.front):,}")
        if state.stopped:
            figures.append(f"{state.stopped:,} stopped early")
        rate = (state.evaluations - self._evaluations_before) / max(perf_counter() - self._started, 1e-9)
        self._figures = [*figures, f"{rate:.1f} evaluations/s"]
        self._line.show(self._figures)
        if state.generation >= total:
            self.close()

    def finish(self, judged: int, most: int) -> None:
        """Which candidate is refitted and judged, of how many at most."""
        self._begin("finish", judged)
        if judged < most:
            self._line.show([f"finish: candidate {judged + 1} of at most {most}", *self._left(judged, most)])
        else:
            self.close()

    def workers(self, figures: PoolFigures) -> None:
        """Workers, behind what the last generation gave."""
        if self._kind == "search":
            self._line.show([*self._figures, str(figures)])

    def close(self) -> None:
        """End the progress line and leave its last state."""
        self._line.end()
        self._kind = ""

    def _begin(self, kind: str, reached: int) -> bool:
        """Start a new line if the kind of work changes or its count goes back; return whether it did."""
        begins = kind != self._kind or reached < self._reached or (kind == "search" and reached == self._reached)
        self._reached = reached
        if begins:
            self.close()
            self._kind, self._first, self._started = kind, reached, perf_counter()
        return begins

    def _left(self, done: int, total: int) -> list[str]:
        """Time left, at the pace since this line began; nothing before there is a pace."""
        if done == self._first or done >= total:
            return []
        seconds = round((perf_counter() - self._started) / (done - self._first) * (total - done))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return [f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"]
