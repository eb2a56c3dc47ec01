"""Trials of candidates: which masks are judged, one after the other, and which of them holds in the end."""

from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from experiments.progress import Reporter
from experiments.runs.finish.choosing import MOST, MOST_BETWEEN, Candidates, between, first_that_holds, halving
from experiments.runs.finish.judging import Judge, Judged
from experiments.runs.finish.result import FINISH
from models.model_directory import Model


class Held(NamedTuple):
    """A mask, ``bool[f]``, that loses less than the threshold, and its judgement."""

    mask: np.ndarray
    judged: Judged


class Trials:
    """Judges candidates, and keeps the last one that holds, which drops more than all that held before.

    Attributes:
        held: None if none holds.
        judged: number of candidates that were judged.
    """

    def __init__(
        self,
        judge: Judge,
        generation: int,
        threshold: float,
        reporter: Reporter,
        keep: Callable[[np.ndarray, Model], object] = lambda mask, smaller: None,
    ):
        """Judge masks of a search.

        Args:
            judge: of the masks.
            generation: of the search.
            threshold: the accuracy drop that a mask must stay below, percent.
            reporter: receives a sentence for each mask.
            keep: receives each mask that holds, with its smaller network, before its judgement becomes durable.
        """
        self.held: Held | None = None
        self.judged = 0
        self._most = 0
        self._judge = judge
        self._generation = generation
        self._threshold = threshold
        self._reporter = reporter
        self._keep = keep

    def run(
        self,
        found: Candidates,
        reach: float,
        least: np.ndarray,
        goals: Callable[[np.ndarray], np.ndarray],
        allowed: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        """Judge some of the candidates, and then masks between the last one that fails and the one that holds.

        Args:
            found: the candidates.
            reach: the drop before a refit that is expected to end at the threshold, percent.
            least: ``bool[f]``; stands in for the mask that holds where no candidate holds.
            goals: of masks ``bool[k, f]``, what is to be large: ``float64[k]``.
            allowed: which masks ``bool[k, f]`` between two candidates may be judged: ``bool[k]``; None for none.
        """
        drops = found.accuracy_drops.tolist()
        self._most = min(MOST, len(drops)) + (0 if allowed is None else MOST_BETWEEN)
        failed = []

        def drop_after(place: int) -> float:
            after = self._drop_after(found.masks[place], drops[place], f"{drops[place]:.2f}% in the search")
            if after >= self._threshold:
                failed.append(place)
            return after

        first_that_holds(drops, self._threshold, reach, drop_after)
        if failed and allowed is not None:
            nearest = max(failed)
            lower = least if self.held is None else self.held.mask
            masks = between(found, nearest, lower)
            masks = masks[allowed(masks)]
            gained = goals(np.concatenate([masks, lower[None]])).tolist()
            # Measured latencies need not fall.
            larger = list(takewhile(lambda value: value > gained[-1], gained))

            def holds(place: int) -> bool:
                return self._drop_after(masks[place], drops[nearest], "between two") < self._threshold

            halving(larger, holds, MOST_BETWEEN)
        self._reporter.finish(self._most, self._most)

    def _drop_after(self, mask: np.ndarray, before: float, origin: str) -> float:
        """What the mask loses once it is judged, percent; inf if it cannot be.

        Args:
            mask: ``bool[f]``.
            before: as for :meth:`Judge.__call__`.
            origin: of the mask, for the user.
        """
        judge = self._judge
        self._reporter.finish(self.judged, self._most)
        self.judged += 1

        def keep(smaller: Model, judged: Judged) -> None:
            if judge.drop(judged) < self._threshold:
                self._keep(mask, smaller)

        judged = judge(mask, self._generation, FINISH, before, keep)
        drop = judge.drop(judged)
        if judged.failed:
            self._reporter.message(f"candidate {self.judged} cannot be used: {judged.failed}")
            return drop
        self._reporter.message(
            f"candidate {self.judged} ({origin}), {with_weights(judged)}: accuracy drop "
            f"{judge.fitness_drop(judged):.2f}% on the fitness images, "
            f"{judge.check_drop(judged):.2f}% on {len(judge.images.check):,} check images."
        )
        if drop < self._threshold:
            self.held = Held(mask, judged)
        return drop


def with_weights(judged: Judged) -> str:
    """Which weights a judgement is about, for the user."""
    return "refitted" if judged.refitted else "with the weights of the search"
