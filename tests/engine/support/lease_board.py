"""A simulated object store and drivers, with simulated clocks and a random order of requests."""

import random
import threading

from engine.errors import RunError, RunStoreError
from engine.stores.lease import RENEWAL, Clock, Lease


class Board:
    """An object store with its own clock."""

    location = "s3://bucket/run"

    def __init__(self, tells_times=True, exclusive=True):
        self.time = 1_000_000.0
        self.objects = {}
        self.tells_times = tells_times
        self.exclusive = exclusive
        self.down = False

    def _reached(self):
        if self.down:
            raise RunStoreError("cannot read or write s3://bucket/run/lease.json (no route).")

    def read(self, name):
        self._reached()
        if name not in self.objects:
            raise FileNotFoundError(name)
        return self.objects[name][0]

    def write(self, name, content):
        self._reached()
        self.objects[name] = (content, self.time)

    def create(self, name, content):
        if self.exclusive and name in self.objects:
            raise FileExistsError(name)
        self.write(name, content)

    def remove(self, name):
        self._reached()
        self.objects.pop(name, None)

    def age(self, name):
        return self.time - self.objects[name][1] if self.tells_times else None


class Drivers:
    """Drivers with different clocks. Time passes for all at once, and living drivers renew their leases."""

    def __init__(self, board):
        self.board = board
        self.living = []

    def clock(self, start=0.0):
        return Clock(lambda: self.board.time + start, self.let_pass)

    def lease(self, start=0.0):
        return Lease(self.board, self.clock(start), renew_by_itself=False)

    def let_pass(self, seconds):
        for _ in range(round(seconds)):
            self.board.time += 1
            if self.board.time % RENEWAL == 0:
                for lease in self.living:
                    lease.renew()


class Turns:
    """Gives threads one request at a time, in a random order."""

    location = "s3://bucket/run"

    def __init__(self, board, order: random.Random):
        self.board = board
        self.order = order

    def run(self, calls):
        self._condition = threading.Condition()
        self._waiting, self._running, self._turn = [], len(calls), None
        threads = [threading.Thread(target=self._one, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self, call):
        try:
            call()
        except RunError:
            pass
        finally:
            with self._condition:
                self._running -= 1
                self._choose()

    def _choose(self):
        if self._running and len(self._waiting) == self._running:
            self._waiting.sort(key=str)
            self._turn = self.order.choice(self._waiting)
            self._waiting.remove(self._turn)
            self._condition.notify_all()

    def _request(self, name, *arguments):
        if self.order is not None:
            with self._condition:
                me = threading.current_thread().name
                self._waiting.append(me)
                self._choose()
                self._condition.wait_for(lambda: self._turn == me)
                self._turn = None
        return getattr(self.board, name)(*arguments)

    def read(self, name):
        return self._request("read", name)

    def write(self, name, content):
        return self._request("write", name, content)

    def create(self, name, content):
        return self._request("create", name, content)

    def remove(self, name):
        return self._request("remove", name)

    def age(self, name):
        try:
            return self._request("age", name)
        except KeyError:
            raise FileNotFoundError(name) from None
