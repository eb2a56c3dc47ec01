"""The dispatcher under random orders of answers, failures and deaths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster.crew import REFUSALS, STILLBORN
from engine.cluster.devices import CoreSlots
from engine.cluster.tasks.dispatch import COPIES, DEATHS, FAILURES, WORKER_FAILURES, Dispatcher
from engine.cluster.tasks.task_times import FIRST_TIMEOUT, PATIENCE, SHORTEST_TIMEOUT, STRAGGLER
from engine.errors import BackendError, EvaluationError
from experiments.benchmarks.cluster.simulated_cluster import Cluster, SimulatedPool
from tests.engine.support.dispatchers import ready, refill


@given(data=st.data(), workers=st.integers(1, 5), tasks=st.integers(0, 12), shards=st.integers(1, 6))
def test_every_task_is_answered_once_whatever_happens(data, workers, tasks, shards):
    """Also: a worker has at most two tasks, a lost worker none, and a task at most two workers."""
    dispatcher, now, answers = Dispatcher(workers, 50.0), 0.0, []
    starting, at_work, deaths, raised = set(), {}, 0, 0
    dispatcher.begin([task % shards for task in range(tasks)])
    while not dispatcher.done:
        starting |= set(dispatcher.crew.hires(now))
        for attempt in dispatcher.assignments(now):
            assert attempt.shard == attempt.task % shards
            at_work.setdefault(attempt.worker, []).append(attempt)
            assert len(at_work[attempt.worker]) <= 2
            at_it = [
                other.worker for several in at_work.values() for other in several if other.task == attempt.task
            ]
            assert len(at_it) == len(set(at_it)) <= COPIES
        assert dispatcher.in_flight == sum(map(len, at_work.values()))
        assert len(at_work) + len(starting) > 0, "nothing is under way and nothing will be"
        now += data.draw(st.floats(0.01, 5.0))
        worker = data.draw(st.sampled_from(sorted(at_work.keys() | starting)))
        if worker in starting:
            starting.remove(worker)
            dispatcher.joined(worker)
            continue
        kind = data.draw(st.sampled_from(["answer", "answer", "raise", "die"]))
        if kind == "die" and deaths < DEATHS - 1:
            deaths += 1
            dispatcher.lost(worker, "dead")
            del at_work[worker]
            continue
        # News of two tasks of a worker may come in either order.
        attempt = at_work[worker].pop(data.draw(st.integers(0, len(at_work[worker]) - 1)))
        gone = False
        if kind == "raise" and raised < FAILURES - 1:
            raised += 1
            gone = dispatcher.failed(attempt, now, "no")
        else:
            task = dispatcher.answered(attempt, now)
            assert task in (None, attempt.task)
            if task is not None:
                answers.append(task)
        if gone or not at_work[worker]:
            del at_work[worker]
    assert sorted(answers) == list(range(tasks))


def test_a_worker_is_given_the_shards_that_it_holds():
    dispatcher = ready(3)
    dispatcher.begin([0, 1, 2])
    attempts = dispatcher.assignments(0.0)
    first = {attempt.worker: attempt.shard for attempt in attempts}
    for attempt in attempts:
        dispatcher.answered(attempt, 1.0)
    dispatcher.begin([2, 1, 0])
    assert {attempt.worker: attempt.shard for attempt in dispatcher.assignments(1.0)} == first
    dispatcher = ready(1)
    dispatcher.begin([7])
    [first] = dispatcher.assignments(0.0)
    dispatcher.answered(first, 1.0)
    dispatcher.crew.forget_shards()
    dispatcher.begin([3, 7])
    assert [attempt.shard for attempt in dispatcher.assignments(1.0)] == [3]


def test_a_task_that_raised_goes_to_another_worker_and_ends_the_run_after_three():
    dispatcher = ready(3)
    dispatcher.begin([0])
    tried = []
    for _ in range(FAILURES - 1):
        [attempt] = dispatcher.assignments(0.0)
        tried.append(attempt.worker)
        assert not dispatcher.failed(attempt, 0.0, "bad")
    [attempt] = dispatcher.assignments(0.0)
    with pytest.raises(
        EvaluationError, match=r"shard 0 was given up: on 3 workers .* raised, the last time: bad"
    ):
        dispatcher.failed(attempt, 0.0, "bad")
    assert sorted([*tried, attempt.worker]) == [0, 1, 2]


def test_a_worker_that_raises_twice_is_replaced_and_its_tasks_are_done_by_others():
    dispatcher = ready(2)
    dispatcher.begin([0, 1, 2])
    sick, well = dispatcher.assignments(0.0)
    assert not dispatcher.failed(sick, 0.0, "sick")
    [again] = dispatcher.assignments(0.0)
    assert again.worker == sick.worker
    assert again.task != sick.task
    assert dispatcher.failed(sick, 0.0, "sick")
    assert WORKER_FAILURES == 2
    assert dispatcher.crew.ready == 1
    assert dispatcher.crew.replaced == 1
    assert dispatcher.crew.hires(0.0) == [2]
    answered = [dispatcher.answered(well, 1.0)]
    while not dispatcher.done:
        [attempt] = dispatcher.assignments(1.0)
        answered.append(dispatcher.answered(attempt, 2.0))
    assert sorted(answered) == [0, 1, 2]


def test_tasks_lie_ready_at_workers_as_long_as_there_are_enough():
    dispatcher = ready(2)
    dispatcher.begin(list(range(6)))
    at_once = dispatcher.assignments(0.0)
    assert [attempt.worker for attempt in at_once] == [0, 1, 0, 1]
    assert dispatcher.assignments(0.0) == []
    # The one that lay ready at a worker that is lost is done by others, without blame.
    dispatcher.lost(0, "gone")
    done = [dispatcher.answered(at_once[1], 1.0), dispatcher.answered(at_once[3], 2.0)]
    at_work = []
    while not dispatcher.done:
        at_work += dispatcher.assignments(2.0)
        done.append(dispatcher.answered(at_work.pop(0), 3.0))
    assert sorted(done) == list(range(6))


def test_a_single_worker_that_raises_is_tried_and_replaced_until_the_task_is_given_up():
    dispatcher = ready(1)
    dispatcher.begin([0])
    for _ in range(FAILURES - 1):
        for last in (False, True):
            refill(dispatcher)
            [attempt] = dispatcher.assignments(0.0)
            assert dispatcher.failed(attempt, 0.0, "no") == last
    assert dispatcher.crew.replaced == FAILURES - 1
    refill(dispatcher)
    [attempt] = dispatcher.assignments(0.0)
    with pytest.raises(EvaluationError):
        dispatcher.failed(attempt, 0.0, "no")


def test_deaths_over_one_task_end_the_run_and_others_do_not():
    dispatcher = ready(1)
    for _ in range(3 * DEATHS):
        dispatcher.begin([0])
        [attempt] = dispatcher.assignments(0.0)
        dispatcher.lost(attempt.worker, "gone")
        refill(dispatcher)
        [attempt] = dispatcher.assignments(0.0)
        assert dispatcher.answered(attempt, 1.0) == 0
        dispatcher.lost(attempt.worker, "gone while idle")
        refill(dispatcher)
    dispatcher.begin([0])
    for _ in range(DEATHS - 1):
        [attempt] = dispatcher.assignments(0.0)
        dispatcher.lost(attempt.worker, "gone")
        refill(dispatcher)
    [attempt] = dispatcher.assignments(0.0)
    with pytest.raises(EvaluationError, match=f"on {DEATHS} workers its evaluation ended the worker"):
        dispatcher.lost(attempt.worker, "gone")


def test_a_hung_worker_is_overdue_and_its_task_goes_to_another():
    dispatcher = ready(1, timeout=30.0)
    dispatcher.begin([0])
    [attempt] = dispatcher.assignments(5.0)
    assert dispatcher.overdue(34.9) == []
    assert dispatcher.wake_at() == 35.0
    assert dispatcher.overdue(35.0) == [attempt.worker]
    dispatcher.lost(attempt.worker, "hung")
    [worker] = dispatcher.crew.hires(35.0)
    dispatcher.joined(worker)
    [attempt] = dispatcher.assignments(36.0)
    assert dispatcher.answered(attempt, 37.0) == 0
    assert dispatcher.done


def test_without_a_timeout_given_it_follows_the_tasks():
    dispatcher = ready(2, timeout=None)
    dispatcher.begin([0, 1])
    first, second = dispatcher.assignments(0.0)
    assert dispatcher.overdue(FIRST_TIMEOUT - 1) == []
    dispatcher.answered(first, 100.0)
    assert dispatcher.overdue(PATIENCE * 100.0 - 1) == []
    assert dispatcher.overdue(PATIENCE * 100.0) == [second.worker]
    dispatcher = ready(1, timeout=None)
    dispatcher.begin([0])
    dispatcher.assignments(0.0)
    dispatcher.answered(first, 0.001)
    assert dispatcher.timeout == SHORTEST_TIMEOUT


def test_tasks_of_more_work_may_take_longer_in_proportion():
    """One mask on every image comes first, then generation 0 with all its masks."""
    dispatcher = ready(1, timeout=None)
    dispatcher.begin([0], works=[784.0])
    [attempt] = dispatcher.assignments(0.0)
    dispatcher.answered(attempt, 3.0)
    dispatcher.begin([0], works=[784_000.0])
    [large] = dispatcher.assignments(3.0)
    assert dispatcher.overdue(3.0 + PATIENCE * 3000.0 - 1) == []
    assert dispatcher.overdue(3.0 + PATIENCE * 3000.0) == [large.worker]
    # A small one behind a large one: what it takes may not depend on its masks at all.
    dispatcher.answered(large, 803.0)
    dispatcher.begin([0], works=[784.0])
    assert dispatcher.timeout == PATIENCE * 800.0
    # Nor does the time of what is under way shrink, should a run of small tasks begin meanwhile.
    dispatcher.begin([0], works=[784_000.0])
    dispatcher.assignments(803.0)
    before = dispatcher.timeout
    dispatcher.begin([0], works=[1.0])
    assert dispatcher.timeout == before


def test_an_idle_worker_doubles_the_slowest_task_and_the_first_answer_wins():
    dispatcher = ready(3)
    dispatcher.begin([0, 1, 2])
    first, second, slow = dispatcher.assignments(0.0)
    dispatcher.answered(first, 1.0)
    dispatcher.answered(second, 1.0)
    assert dispatcher.assignments(1.5) == []
    assert dispatcher.wake_at() == STRAGGLER * 1.0
    [copy] = dispatcher.assignments(STRAGGLER)
    assert copy.task == slow.task
    assert copy.worker != slow.worker
    assert dispatcher.assignments(50.0) == [], "two copies are enough"
    assert dispatcher.answered(copy, 3.0) == slow.task
    assert dispatcher.done
    # What the slow one says now is nobody's business, in this run and the next.
    dispatcher.begin([0])
    [attempt] = dispatcher.assignments(4.0)
    assert dispatcher.answered(slow, 5.0) is None
    assert not dispatcher.done
    assert dispatcher.answered(attempt, 6.0) == 0


def test_workers_that_never_get_ready_end_the_run_unless_one_is_there():
    dispatcher = Dispatcher(1, 100.0)
    now = 0.0
    for _ in range(REFUSALS - 1):
        [worker] = dispatcher.crew.hires(now)
        dispatcher.crew.refused(worker, now, "no GPU")
        assert dispatcher.crew.hires(now) == [], "not again at once"
        now = dispatcher.wake_at()
    [worker] = dispatcher.crew.hires(now)
    with pytest.raises(BackendError, match="no worker becomes ready, the last one because of: no GPU"):
        dispatcher.crew.refused(worker, now, "no GPU")
    # Those that are killed as they start have more lives.
    dispatcher, now = Dispatcher(1, 100.0), 0.0
    for _ in range(STILLBORN - 1):
        [worker] = dispatcher.crew.hires(now)
        dispatcher.crew.refused(worker, now, "killed", died=True)
        now = dispatcher.wake_at()
    [worker] = dispatcher.crew.hires(now)
    with pytest.raises(BackendError, match="the last one because of: killed"):
        dispatcher.crew.refused(worker, now, "killed", died=True)
    dispatcher = Dispatcher(2, 100.0)
    good, bad = dispatcher.crew.hires(0.0)
    dispatcher.joined(good)
    now, waits = 0.0, []
    for _ in range(12):
        dispatcher.crew.refused(bad, now, "no GPU")
        waits.append(dispatcher.wake_at() - now)
        now = dispatcher.wake_at()
        [bad] = dispatcher.crew.hires(now)
    assert waits == sorted(waits)
    assert waits[0] == 1.0
    assert waits[-1] == 60.0


@given(
    seed=st.integers(0, 10_000),
    workers=st.integers(1, 8),
    tasks=st.integers(1, 40),
    between_deaths=st.sampled_from([float("inf"), 100.0, 20.0]),
)
def test_a_simulated_cluster_answers_each_task_once(seed, workers, tasks, between_deaths):
    pool = SimulatedPool(Cluster(workers, between_deaths=between_deaths, restart=5.0), seed)
    for _ in range(3):
        try:
            pool.run([task % 7 for task in range(tasks)], np.full(tasks, 2.0))
        except EvaluationError:
            assert between_deaths < 100
            return
        assert pool.account.answers == dict.fromkeys(range(tasks), 1)
    assert pool.account.useful <= pool.account.ready * (1 + 1e-9)


def test_cores_are_given_to_one_worker_each_and_shared_where_there_are_too_few():
    slots = CoreSlots(2)
    assert slots.take(1, "a", [0, 1, 2, 3, 4]) == (0, 1)
    assert slots.take(2, "a", [0, 1, 2, 3, 4]) == (2, 3)
    assert slots.take(3, "a", [0, 1, 2, 3, 4]) is None
    assert slots.take(4, "b", [0, 1]) == (0, 1)
    slots.give_back(1)
    slots.give_back(3)
    assert slots.take(5, "a", [0, 1, 2, 3, 4]) == (0, 1)
