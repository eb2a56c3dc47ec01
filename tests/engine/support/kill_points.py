"""Kills a run by SIGKILL before its system calls, in a fork; see ``tests/engine/run/test_kill_points.py``.

This is a program of its own, because the tests' process has JAX's threads and cannot be forked.
Usage: ``python -m tests.engine.support.kill_points FOLDER STRIDE`` kills before every ``STRIDE``-th call of a run and
prints about how many calls a run makes.
"""

import builtins
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.run.directory import RunDirectory
from tests.engine.support.synthetic import LAYOUT, advance, make_search

GENERATIONS = 4
COUNTED = ("open", "fsync", "replace", "unlink", "mkdir", "close")


class Plug:
    """Kills this process before its ``k``-th call; half of a write is done first."""

    def __init__(self, k):
        self.left = k

    def call(self, kill_by_half=lambda: None):
        if self.left == 0:
            kill_by_half()
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def install(self):
        for name in COUNTED:
            setattr(os, name, self._counted(getattr(os, name)))
        opened = builtins.open

        def open_counted(path, mode="r", *rest, **named):
            if set(mode) & set("wax+"):
                self.call()
                return File(opened(path, mode, *rest, **named), self)
            return opened(path, mode, *rest, **named)

        builtins.open = open_counted

    def _counted(self, function):
        def counted(*arguments, **named):
            self.call()
            return function(*arguments, **named)

        return counted


class File:
    """A file whose calls are counted."""

    def __init__(self, file, plug):
        self._file = file
        self._plug = plug

    def write(self, content):
        def half():
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._plug.call(half)
        return self._file.write(content)

    def truncate(self, size):
        self._plug.call()
        return self._file.truncate(size)

    def flush(self):
        self._plug.call()
        return self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._plug.call()
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


class Asking:
    """Founders that have masks evaluated first, one after another, as a climb does."""

    origins = ("asking",)

    def __call__(self, rng, evaluator):
        masks = np.ones((3, LAYOUT.n_filters), bool)
        for filters, mask in enumerate(masks, 1):
            mask[rng.choice(LAYOUT.n_filters, filters, replace=False)] = False
            mask[[0, 5, 6]] = True
            mask[-int(evaluator.evaluate(mask[None])[0] % 7) - 1] = False
        return masks, np.zeros(3, np.uint8)


def search_on(path):
    """Begin or resume the run as a driver does, and finish it."""
    run = RunDirectory(path)
    with run.locked():
        search = make_search(founders=Asking())
        if not run.store.exists("run.json"):
            run.begin({"configuration": {}})
        checkpoint = run.latest(pytest.fail)
        run.rewind(checkpoint, pytest.fail)

        def record(state):
            run.record(state, LAYOUT, "id", {"seconds": 0})

        if checkpoint is None:
            counted = run.initial_counts(LAYOUT, "id", pytest.fail)
            state = search.start(counted, lambda archive: run.record_initial_counts(archive, "id"))
            record(state)
        else:
            state = checkpoint.state
        advance(search, state, GENERATIONS, record)


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def killed_at(k, path):
    """Whether the run at ``path`` was killed before its ``k``-th call; else it finished."""
    child = os.fork()
    if child == 0:
        Plug(k).install()
        search_on(path)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, status
    return os.WIFSIGNALED(status)


def main(folder, stride):
    """Kill a new run at every ``stride``-th call, and once more while the run resumes."""
    search_on(folder / "whole")
    whole = contents(folder / "whole")
    assert sorted(whole) == sorted(
        [".lock", "run.json", "journal.jsonl", "timings.jsonl"]
        + [f"checkpoints/generation-{number:08d}.ckpt" for number in (2, 3, 4)]
    )
    k = 0
    while killed_at(k, path := folder / f"killed-{k}"):
        # A second death while the first one is mended, at a call that moves along.
        killed_at(k % 23, path)
        search_on(path)
        assert contents(path) == whole, k
        k += stride
    assert contents(path) == whole
    print(k)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
