"""Leases on a simulated store, with simulated clocks for the store and the drivers."""

import json
import re

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RunError, RunStoreError
from engine.stores.lease import EXPIRY, LEASE, RENEWAL, Lease
from tests.engine.support.lease_board import Board, Drivers, Turns


def owner(board):
    return json.loads(board.read(LEASE))["owner"]


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.integers(0, 1000), st.booleans())
def test_a_living_driver_is_never_taken_over_whatever_the_clocks_say(one, other, seconds, tells_times):
    board = Board(tells_times)
    drivers = Drivers(board)
    first, second = drivers.lease(one), drivers.lease(other)
    with first:
        drivers.living.append(first)
        drivers.let_pass(seconds)
        before = owner(board)
        with pytest.raises(RunError, match=r"another process \(\d+ on .*\) is at work on s3://bucket/run"):
            second.__enter__()
        first.check()
        assert owner(board) == before
    assert LEASE not in board.objects
    with second:
        second.check()


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_dead_drivers_lease_can_be_taken_over_after_its_expiry_and_not_before(one, other):
    board = Board()
    drivers = Drivers(board)
    dead = drivers.lease(one)
    dead.__enter__()
    drivers.let_pass(EXPIRY - 1)
    with pytest.raises(RunError, match="try again in 1 s"):
        drivers.lease(other).__enter__()
    drivers.let_pass(1)
    with drivers.lease(other) as second:
        second.check()
        with pytest.raises(RunError, match="has taken over s3://bucket/run"):
            dead.check()
        # What is left of the first may not disturb the second.
        dead.renew()
        dead.__exit__(None, None, None)
        second.check()


def test_the_refusal_says_when_the_run_can_be_taken_over():
    board = Board()
    drivers = Drivers(board)
    with drivers.lease():
        drivers.let_pass(21)
        with pytest.raises(RunError, match="try again in 39 s"):
            drivers.lease().__enter__()


def test_a_store_that_tells_no_times_is_watched():
    board = Board(tells_times=False)
    drivers = Drivers(board)
    dead = drivers.lease()
    dead.__enter__()
    began = board.time
    with drivers.lease(start=5e8) as second:
        assert board.time - began >= EXPIRY
        second.check()
        drivers.living.append(second)
        began = board.time
        with pytest.raises(RunError, match="is at work"):
            drivers.lease(start=-5e8).__enter__()
        assert board.time - began <= 2 * RENEWAL
        second.check()


def test_a_driver_that_slept_renews_before_it_writes_or_learns_that_it_is_late():
    board = Board()
    drivers = Drivers(board)
    with drivers.lease() as sleepy:
        drivers.let_pass(10 * EXPIRY)
        sleepy.check()
        with pytest.raises(RunError, match="at work"):
            drivers.lease().__enter__()
        drivers.let_pass(10 * EXPIRY)
        with drivers.lease(), pytest.raises(RunError, match="taken over"):
            sleepy.check()


@pytest.mark.parametrize(("request_name", "second_goes_on"), [("read", True), ("write", False)])
def test_a_driver_suspended_within_its_renewal_stops(request_name, second_goes_on):
    """A driver wakes up with an outdated decision: it may overwrite a lease but writes nothing else."""
    board = Board()
    drivers = Drivers(board)
    first, second = drivers.lease(), drivers.lease()
    with first:
        request = getattr(board, request_name)

        def suspended(*arguments):
            setattr(board, request_name, request)
            answer = request(*arguments) if request_name == "read" else None
            drivers.let_pass(EXPIRY)
            second.__enter__()
            return answer if request_name == "read" else request(*arguments)

        setattr(board, request_name, suspended)
        first.renew()
        with pytest.raises(RunError):
            first.check()
    if second_goes_on:
        second.check()
    else:
        with pytest.raises(RunError, match="was removed"):
            second.check()


def test_a_repeated_creation_fails_because_of_its_own_first_try():
    """This happens when the answer to a conditional PUT is lost and the store's package sends it again."""
    board = Board()
    create = board.create

    def twice(name, content):
        create(name, content)
        create(name, content)

    board.create = twice
    with Drivers(board).lease() as lease:
        lease.check()


def test_a_removed_lease_is_lost():
    board = Board()
    with Drivers(board).lease() as lease:
        board.remove(LEASE)
        with pytest.raises(RunError, match="was removed"):
            lease.check()
        lease.renew()
        assert LEASE not in board.objects


def test_a_store_out_of_reach_raises_in_the_search_and_hides_no_error():
    board = Board()
    lease = Drivers(board).lease()

    def fail_within():
        with lease:
            board.down = True
            with pytest.raises(RunStoreError):
                lease.check()
            raise ValueError("the search's own")

    with pytest.raises(ValueError, match="own"):
        fail_within()
    board.down = False
    assert LEASE in board.objects


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[" * 100_000, b"{}", b'{"pid": "1", "host": 5}'])
def test_a_damaged_lease_counts_as_held_until_it_expires(content):
    board = Board()
    drivers = Drivers(board)
    board.write(LEASE, content)
    with pytest.raises(RunError, match="another process is at work"):
        drivers.lease().__enter__()
    drivers.let_pass(EXPIRY)
    with drivers.lease() as lease:
        lease.check()


def test_the_text_of_a_lease_is_cleaned_before_it_is_shown():
    board = Board()
    board.write(LEASE, json.dumps({"pid": 1, "host": "a\x1b[31m\nb" + "c" * 1000}).encode())
    with pytest.raises(RunError) as refused:
        Drivers(board).lease().__enter__()
    assert re.search(r"\(1 on a\[31mbc{10}", str(refused.value))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("exclusive", [True, False])
def test_of_two_drivers_that_begin_at_once_the_one_without_a_lease_is_refused(exclusive):
    board = Board(exclusive=exclusive)
    other = json.dumps({"owner": "other", "host": "elsewhere", "pid": 5}).encode()
    create = board.create

    def beside_another(name, content):
        # Both have seen that there is no lease.
        for lease in (other, content) if exclusive else (content, other):
            create(name, lease)

    board.create = beside_another
    with pytest.raises(RunError, match=r"\(5 on elsewhere\) is at work"):
        Drivers(board).lease().__enter__()
    assert owner(board) == "other"


def test_the_second_to_a_dead_drivers_lease_leaves_the_first_alone():
    board = Board()
    drivers = Drivers(board)
    drivers.lease().__enter__()
    drivers.let_pass(EXPIRY)
    first = drivers.lease()
    age = board.age

    def overtaken(name):
        board.age = age
        found = age(name)
        first.__enter__()
        return found

    board.age = overtaken
    with pytest.raises(RunError, match="is at work"):
        drivers.lease().__enter__()
    first.check()


@given(st.booleans(), st.randoms(use_true_random=False), st.integers(2, 4))
def test_of_several_drivers_that_take_over_at_once_at_most_one_goes_on(exclusive, order, count):
    """The drivers' requests are interleaved in a random order; then each driver checks before it writes."""
    board = Board(exclusive=exclusive)
    drivers = Drivers(board)
    drivers.lease().__enter__()
    drivers.let_pass(EXPIRY)
    turns = Turns(board, order)
    leases = [Lease(turns, drivers.clock(), renew_by_itself=False) for _ in range(count)]
    turns.run([lease.__enter__ for lease in leases])
    turns.order = None
    alive = 0
    for lease in leases:
        try:
            lease.check()
        except RunError:
            continue
        alive += 1
    assert alive <= 1


def test_the_thread_renews_until_the_end(monkeypatch, location):
    """Uses the real clock, and asserts nothing about durations."""
    if "://" not in location:
        pytest.skip("flock needs no renewal")
    from engine.stores.remote import FsspecStore

    monkeypatch.setattr("engine.stores.lease.RENEWAL", 0.001)
    store = FsspecStore(location)
    with store.lock(pytest.fail) as lease:
        while json.loads(store.read(LEASE))["renewals"] < 3:
            pass
        lease.check()
    lease._thread.join()
    assert not fsspec.filesystem("memory").exists(store.full_name(LEASE))
