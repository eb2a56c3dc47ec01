"""The calls of a pool: what each task sends to a worker, and the answers, over one run and the next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Ran(NamedTuple):
    """What came of some tasks.

    Attributes:
        answers: to the tasks, and then to those that were carried on.
        begun: of the tasks ahead, those that were begun: the place of each, and its number for the next run.
    """

    answers: list[np.ndarray]
    begun: list[tuple[int, int]]


class Calls:
    """The calls of the present run, by the number of their task.

    Attributes:
        reads: the shard of each: of the new ones, of those that are carried on without an answer, of those ahead.
        unfinished: the numbers that the second had in the last run.
        awaited: number of those that the run waits for, which come first.
        useful: seconds of workers whose answers were needed; the owner sets it back.
    """

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.unfinished: list[int] = []
        self.awaited = 0
        self.useful = 0.0
        self._messages: list[Any] = []
        # Answers, and the seconds that each took.
        self._answers: dict[int, tuple[np.ndarray, float]] = {}
        self._carried: list[tuple[np.ndarray, float] | int] = []
        self._new = 0

    def begin(
        self, tasks: Sequence[tuple[Any, int]], carried: Sequence[int], ahead: Sequence[tuple[Any, int]]
    ) -> None:
        """Begin a run. Tasks are a message and a shard; ``carried`` are numbers of the last run."""
        messages, shards = self._messages, self.reads
        self.unfinished = [task for task in carried if task not in self._answers]
        numbers = {task: len(tasks) + place for place, task in enumerate(self.unfinished)}
        self._carried = [numbers[task] if task in numbers else self._answers[task] for task in carried]
        self.useful += sum(self._answers[task][1] for task in carried if task in self._answers)
        whole = [*tasks, *((messages[task], shards[task]) for task in self.unfinished), *ahead]
        self._messages, self.reads = [message for message, _ in whole], [shard for _, shard in whole]
        self._new, self.awaited = len(tasks), len(whole) - len(ahead)
        self._answers = {}

    def message(self, task: int) -> Any:
        """What a task sends."""
        return self._messages[task]

    def answer(self, task: int, value: np.ndarray, seconds: float) -> None:
        """A task was answered first by a worker that took ``seconds``."""
        self._answers[task] = value, seconds
        if task < self.awaited:
            self.useful += seconds

    def ran(self, begun: Sequence[int]) -> Ran:
        """The answers of a run that is done. ``begun``: numbers of the tasks ahead that were begun."""
        carried = [self._answers[found] if isinstance(found, int) else found for found in self._carried]
        answers = [value for value, _ in (*(self._answers[task] for task in range(self._new)), *carried)]
        return Ran(answers, [(task - self.awaited, task) for task in begun])
