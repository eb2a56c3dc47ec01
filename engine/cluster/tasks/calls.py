"""The calls of a pool: what each task sends to a worker, and the answers, over one run and the next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Task(NamedTuple):
    """A message for the worker that reads a shard.

    Attributes:
        message: number of the message.
        shard: number of the shard.
        work: above 0, in the same unit for all tasks of a pool; timeouts follow it.
    """

    message: int
    shard: int
    work: float = 1.0


class Ran(NamedTuple):
    """What came of some tasks.

    Attributes:
        answers: to the tasks, and then to the carried tasks.
        begun: the tasks that were begun early: the place of each among the tasks ahead, and its number for the
            next run.
    """

    answers: list[np.ndarray]
    begun: list[tuple[int, int]]


class _Call(NamedTuple):
    message: Any
    shard: int
    work: float


class Calls:
    """The calls of the present run. Their order: new tasks, carried tasks without an answer, tasks ahead.

    Attributes:
        unfinished: the carried tasks that have no answer yet, by their numbers in the last run.
        awaited: number of calls that the run waits for, which come first.
        useful: seconds of workers whose answers were needed, since the owner last set this to 0.
    """

    def __init__(self) -> None:
        self.unfinished: list[int] = []
        self.awaited = 0
        self.useful = 0.0
        self._calls: list[_Call] = []
        # Answers, and the seconds that each took.
        self._answers: dict[int, tuple[np.ndarray, float]] = {}
        # The answer of each carried task, or its number in this run.
        self._carried: list[tuple[np.ndarray, float] | int] = []
        self._new = 0

    @property
    def reads(self) -> list[int]:
        """The shard of each call."""
        return [call.shard for call in self._calls]

    @property
    def works(self) -> list[float]:
        """The work of each call."""
        return [call.work for call in self._calls]

    def begin(
        self, messages: Sequence[Any], tasks: Sequence[Task], carried: Sequence[int], ahead: Sequence[Task]
    ) -> None:
        """Begin a run. ``carried``: numbers of tasks that the last run began ahead."""
        self.unfinished = [task for task in carried if task not in self._answers]
        numbers = {task: len(tasks) + place for place, task in enumerate(self.unfinished)}
        self._carried = [numbers[task] if task in numbers else self._answers[task] for task in carried]
        self.useful += sum(self._answers[task][1] for task in carried if task in self._answers)
        new, later = (
            [_Call(messages[task.message], task.shard, task.work) for task in some] for some in (tasks, ahead)
        )
        self._calls = [*new, *(self._calls[task] for task in self.unfinished), *later]
        self._new, self.awaited = len(new), len(self._calls) - len(later)
        self._answers = {}

    def forget(self) -> None:
        """Forget all tasks, so that none can be carried on."""
        self._calls.clear()
        self._answers.clear()

    def message(self, task: int) -> Any:
        """What a task sends."""
        return self._calls[task].message

    def answer(self, task: int, value: np.ndarray, seconds: float) -> None:
        """Keep the first answer to a task, which took its worker ``seconds``."""
        self._answers[task] = value, seconds
        if task < self.awaited:
            self.useful += seconds

    def ran(self, begun: Sequence[int]) -> Ran:
        """The answers of a run that is done. ``begun``: numbers of the tasks ahead that were begun."""
        carried = [self._answers[found] if isinstance(found, int) else found for found in self._carried]
        answers = [value for value, _ in (*(self._answers[task] for task in range(self._new)), *carried)]
        return Ran(answers, [(task - self.awaited, task) for task in begun])
