"""Times a network in a separate process, so that peak memory is measured for each network alone."""

import multiprocessing
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from engine.errors import EvaluationError
from experiments.benchmarks.machine import device_peak, resident_peak
from experiments.benchmarks.speed.runners import RUNNERS, seconds_of
from models.tracing import factories

_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


class Subject:
    """What the driver holds of such a process."""

    def __init__(self, connection: Connection, what: str):
        self._connection = connection
        self._what = what

    def compile(self, batch: int) -> float:
        """Seconds of getting ready for batches of this size."""
        return self._ask("compile", batch)

    def seconds(self, calls: int) -> list[float]:
        """Seconds of each of some calls."""
        return self._ask("time", calls)

    def peak_memory(self) -> int:
        """Bytes that loading, compiling and running have taken at most so far, on the device if it counts."""
        return self._ask("memory", 0)

    def _ask(self, request: str, number: int) -> Any:
        try:
            self._connection.send((request, number))
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise EvaluationError(
                f"the process that runs {self._what} ended; it may have had too little memory."
            ) from error
        if isinstance(answer, str):
            raise EvaluationError(f"{self._what} cannot be run: {answer}")
        return answer


@contextmanager
def started(runtime: str, place: Path, needed: Collection[str] = ()) -> Iterator[Subject]:
    """A process with the network at ``place`` in ``runtime``; ends with the context.

    ``needed`` names the code of the user's own that makes the network (:mod:`models.tracing.factories`).

    Raises:
        EvaluationError: from the subject, if the process ends or its runtime fails.
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs, runtime, place, needed), daemon=True)
    before = os.environ.get(_PREALLOCATE)
    # Several such processes share a GPU, and what each takes is what is measured.
    os.environ[_PREALLOCATE] = "false"
    try:
        process.start()
    finally:
        if before is None:
            del os.environ[_PREALLOCATE]
        else:
            os.environ[_PREALLOCATE] = before
    theirs.close()
    try:
        yield Subject(ours, f"{place} in {runtime}")
    finally:
        ours.close()
        process.join(5)
        process.kill()
        process.join()


def _serve(connection: Connection, runtime: str, place: Path, needed: Collection[str]) -> None:
    """Answer requests until the driver closes its end."""
    if runtime == "JAX":
        import jax

        jax.devices()
    elif runtime == "PyTorch":
        import torch  # noqa: F401
    before = resident_peak()
    try:
        if runtime == "JAX":
            # Elsewhere its imports would only count as memory.
            for name in needed:
                factories.load(name)
        runner = RUNNERS[runtime](place)
    except Exception as error:
        connection.recv()
        connection.send(f"{error}")
        raise
    while True:
        try:
            request, number = connection.recv()
        except EOFError:
            return
        if request == "compile":
            images = np.random.default_rng(0).standard_normal((number, *runner.shape), np.float32)
            begun = perf_counter()
            runner.compile(images)
            connection.send(perf_counter() - begun)
        elif request == "time":
            connection.send(seconds_of(runner, number))
        else:
            on_device = device_peak() if runtime == "JAX" else None
            connection.send(on_device if on_device is not None else resident_peak() - before)
