"""Tasks that are begun ahead: each answer belongs to its task, and nobody waits for a task that is not needed."""

from hypothesis import given
from hypothesis import strategies as st

from engine.cluster.tasks.calls import Calls, Task
from engine.cluster.tasks.dispatch import DEATHS, FAILURES
from tests.engine.support.dispatchers import ready, refill


@given(data=st.data(), workers=st.integers(1, 4), tasks=st.integers(0, 4), ahead=st.integers(0, 6))
def test_answers_belong_to_their_tasks_over_several_runs(data, workers, tasks, ahead):
    """Messages name tasks. Some of what a run begins ahead is carried on, while workers die and raise over it."""
    dispatcher, calls, now, deaths, raised = ready(workers, 50.0), Calls(), 0.0, 0, 0
    at_work, begun, named = {}, [], 0
    for _ in range(4):
        carried = data.draw(st.permutations(begun))[: data.draw(st.integers(0, len(begun)))]
        messages = list(range(named, named + tasks + ahead))
        named += len(messages)
        new, later = (
            [Task(place, messages[place] % 3) for place in part]
            for part in (range(tasks), range(tasks, tasks + ahead))
        )
        calls.begin(messages, new, [number for number, _ in carried], later)
        dispatcher.begin(calls.reads, calls.works, carried=calls.unfinished, ahead=ahead)
        while not dispatcher.done:
            refill(dispatcher, now)
            for attempt in dispatcher.assignments(now):
                message = calls.message(attempt.task)
                assert attempt.shard == message % 3
                if attempt.task >= calls.awaited:
                    assert raised or not dispatcher._pending, "what is waited for comes first"
                at_work.setdefault(attempt.worker, []).append((attempt, message))
            now += data.draw(st.floats(0.01, 5.0))
            worker = data.draw(st.sampled_from(sorted(at_work)))
            attempt, message = at_work[worker].pop(0)
            kind = data.draw(st.sampled_from(["answer", "answer", "raise", "die"]))
            gone = False
            if kind == "die" and deaths < DEATHS - 1:
                deaths += 1
                dispatcher.lost(worker, "dead")
                gone = True
            elif kind == "raise" and raised < FAILURES - 1:
                raised += 1
                gone = dispatcher.failed(attempt, now, "no")
            else:
                task = dispatcher.answered(attempt, now)
                if task is not None:
                    assert calls.message(task) == message
                    calls.answer(task, message, 1.0)
            if gone or not at_work[worker]:
                at_work.pop(worker)
        ran = calls.ran(dispatcher.begun)
        assert ran.answers == [*messages[:tasks], *(message for _, message in carried)]
        begun = [(number, messages[tasks + place]) for place, number in ran.begun]


def test_a_task_ahead_that_fails_again_and_again_ends_no_run():
    dispatcher = ready(FAILURES + 1)
    dispatcher.begin([0, 1], ahead=1)
    awaited, optional = dispatcher.assignments(0.0)
    assert optional.task == 1
    assert dispatcher.begun == [1]
    dispatcher.failed(optional, 0.0, "bad")
    assert dispatcher.assignments(0.0) == []
    assert dispatcher.begun == []
    dispatcher.answered(awaited, 1.0)
    assert dispatcher.done


def test_what_is_carried_on_is_not_begun_again():
    dispatcher = ready(2)
    dispatcher.begin([0, 1], ahead=1)
    first, optional = dispatcher.assignments(0.0)
    dispatcher.answered(first, 1.0)
    dispatcher.begin([5, 1], carried=[1])
    [other] = dispatcher.assignments(1.0)
    assert (other.task, other.shard) == (0, 5)
    assert dispatcher.answered(other, 2.0) == 0
    assert not dispatcher.done
    assert dispatcher.answered(optional, 2.5) == 1
    assert dispatcher.done


def test_times_are_those_of_the_work_of_each_task():
    """Work behind a larger task that is still under way, which was begun ahead."""
    dispatcher = ready(2)
    dispatcher.begin([0, 0], [10.0, 1000.0], ahead=1)
    small, large = dispatcher.assignments(0.0)
    assert (small.work, large.work) == (10.0, 1000.0)
    dispatcher.answered(small, 0.1)
    dispatcher.begin([0], [10.0])
    [again] = dispatcher.assignments(0.1)
    assert again.work == 10.0
    assert dispatcher.answered(large, 900.0) is None
    assert dispatcher.assignments(901.0) != [], "a straggler by the time of small tasks"
