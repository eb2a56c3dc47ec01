"""Whatever happens to the workers, a search leaves the same journal and the same last checkpoint, to the byte."""

import contextlib
import os
import random
import signal
import threading
import time
from dataclasses import replace

import pytest

from engine.config import SearchSettings
from engine.pool import RayPool
from engine.pool_options import PoolOptions
from experiments.progress import Silent
from experiments.search_options import Backend
from experiments.search_run import resume_search, start_search
from fitness.shard_worker import from_blueprint
from tests.experiments.test_search_run import options_for, traces

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray")

GENERATIONS = 24
KILLS = int(os.environ.get("EVOPRUNE_TEST_WORKER_KILLS", "20"))


@pytest.fixture(scope="module")
def options(tiny_directory, tiny_data):
    settings = SearchSettings(population=8, parents=6, population_cap=12, seed=5, initial_removal=0.2)
    return options_for(tiny_directory, tiny_data, generations=GENERATIONS, settings=settings, batch_size=4)


@pytest.fixture(scope="module")
def expected(options, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "local"
    start_search(path, options)
    return traces(path)


@pytest.fixture
def pools(monkeypatch):
    """The pools that a test makes, with tasks that last long enough to be interrupted."""
    made = []
    initialise = RayPool.__init__

    def remember(pool, *arguments, **named):
        made.append(pool)
        initialise(pool, *arguments, **named)

    monkeypatch.setattr(RayPool, "__init__", remember)
    return made


def slowed(seconds):
    """Instead of ``from_blueprint``: workers whose tasks take some time."""

    def build(blueprint):
        function = from_blueprint(blueprint)

        def count(index, shard, message):
            time.sleep(seconds)
            return function(index, shard, message)

        return count

    return build


def sick(flag, symptom):
    """Instead of ``from_blueprint``: the first worker to be built is sick, for as long as it lives."""

    def build(blueprint):
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return from_blueprint(blueprint)
        return lambda index, shard, message: symptom()

    return build


def raises():
    raise ValueError("a cosmic ray")


def hangs():
    time.sleep(10_000)


class Watching(Silent):
    """Keeps the sentences, and calls a function with the number of each generation."""

    def __init__(self, on_generation=lambda number: None):
        self.sentences = []
        self._on_generation = on_generation

    def message(self, text):
        self.sentences.append(text)

    def generation(self, state, total):
        self._on_generation(state.generation)


@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers(options, expected, tmp_path, workers):
    start_search(tmp_path / "run", options, Backend("ray", PoolOptions(workers)))
    assert traces(tmp_path / "run") == expected


def test_workers_that_are_killed_all_the_time(options, tmp_path, pools, monkeypatch):
    monkeypatch.setattr("fitness.evaluator.from_blueprint", slowed(0.3))
    generator, killed, over = random.Random(1), [], threading.Event()

    def kill():
        while len(killed) < KILLS and not over.wait(generator.uniform(0.5, 3)):
            victims = sorted(set(pools[-1].process_ids()) - set(killed)) if pools else []
            # One may have ended with its pool just now.
            with contextlib.suppress(IndexError, ProcessLookupError):
                victim = generator.choice(victims)
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    backend, generations = Backend("ray", PoolOptions(3)), 0
    try:
        # As many generations as it takes to kill so often.
        while killer.is_alive():
            generations += GENERATIONS
            if generations == GENERATIONS:
                start_search(tmp_path / "run", options, backend)
            else:
                resume_search(tmp_path / "run", generations=generations, backend=backend)
    finally:
        over.set()
        killer.join()
    assert len(killed) == KILLS
    assert sum(pool.replaced for pool in pools) >= 1, "the others died before they were ready"
    monkeypatch.undo()
    start_search(tmp_path / "local", replace(options, generations=generations))
    assert traces(tmp_path / "run") == traces(tmp_path / "local")


def test_a_worker_that_raises(options, expected, tmp_path, pools, monkeypatch):
    monkeypatch.setattr("fitness.evaluator.from_blueprint", sick(str(tmp_path / "flag"), raises))
    watching = Watching()
    start_search(tmp_path / "run", options, Backend("ray", PoolOptions(2)), reporter=watching)
    assert traces(tmp_path / "run") == expected
    assert pools[0].replaced == 1
    assert [text for text in watching.sentences if "is replaced" in text and "a cosmic ray" in text]


def test_a_worker_that_hangs(options, expected, tmp_path, pools, monkeypatch):
    monkeypatch.setattr("fitness.evaluator.from_blueprint", sick(str(tmp_path / "flag"), hangs))
    watching = Watching()
    # Long enough for others to compile on a busy machine.
    pool = PoolOptions(1, task_timeout=60.0)
    start_search(tmp_path / "run", options, Backend("ray", pool), reporter=watching)
    assert traces(tmp_path / "run") == expected
    assert pools[0].replaced >= 1
    assert [text for text in watching.sentences if "did not answer within 60 s (--task-timeout)" in text]


def test_a_slow_worker_does_not_hold_up_the_others(options, expected, tmp_path, pools, monkeypatch):
    """The hung worker's shard is done by the other one long before anyone's patience ends."""
    monkeypatch.setattr("fitness.evaluator.from_blueprint", sick(str(tmp_path / "flag"), hangs))
    start_search(tmp_path / "run", options, Backend("ray", PoolOptions(2, task_timeout=3000.0)))
    assert traces(tmp_path / "run") == expected
    assert pools[0].replaced == 0


def test_a_node_is_removed_and_another_joins(options, expected, tmp_path, pools, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_ENABLE_AUTO_CONNECT", "0")
    monkeypatch.setattr("fitness.evaluator.from_blueprint", slowed(0.2))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        leaving = cluster.add_node(num_cpus=1)
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()

        changed = []

        def change(number):
            if not changed and pools[0].figures().ready == 3:
                changed.append(number)
                threading.Timer(0.1, cluster.remove_node, (leaving, False)).start()
            if changed and number == changed[0] + 4:
                cluster.add_node(num_cpus=1)

        watching = Watching(change)
        backend = Backend("ray", PoolOptions(3, address=cluster.address))
        start_search(tmp_path / "run", options, backend, reporter=watching)
        assert traces(tmp_path / "run") == expected
        assert pools[0].replaced == 1
        assert [text for text in watching.sentences if "its process or its machine is gone" in text]
    finally:
        cluster.shutdown()
