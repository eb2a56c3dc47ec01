"""Whatever happens to the workers, a search leaves the same journal and the same last checkpoint, to the byte."""

import contextlib
import os
import random
import signal
import threading
import time
from dataclasses import replace

import pytest

from engine.cluster.options import PoolOptions
from engine.cluster.pool import RayPool
from engine.search.settings import SearchSettings
from experiments.runs.options import Backend
from experiments.runs.search import start_search
from fitness.evaluation import division
from fitness.evaluation.shard_worker import from_blueprint
from tests.support.runs import Listening, options_for, traces

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray")

GENERATIONS = 24
LONG_SERIES = int(os.environ.get("EVOPRUNE_TEST_WORKER_KILLS", "20"))


@pytest.fixture(scope="module", autouse=True)
def several_rounds():
    """Workers begin rounds ahead, also while others die."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(division, "ROUND_IMAGES", 8)
        yield


@pytest.fixture(scope="module")
def options(tiny_directory, tiny_data):
    # With so many mutations, every generation has new masks and so tasks.
    settings = SearchSettings(
        population=8, parents=6, population_cap=12, mutation=0.05, seed=5, initial_removal=0.2
    )
    return options_for(tiny_directory, tiny_data, generations=GENERATIONS, settings=settings, batch_size=4)


@pytest.fixture(scope="module")
def expected(options, several_rounds, tmp_path_factory):
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


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers(options, expected, tmp_path, workers, local_ray):
    start_search(tmp_path / "run", options, Backend("ray", PoolOptions(workers)))
    assert traces(tmp_path / "run") == expected


@pytest.mark.parametrize("kills", [3, pytest.param(LONG_SERIES, marks=pytest.mark.slow)])
def test_workers_that_are_killed_again_and_again(options, tmp_path, pools, monkeypatch, kills, local_ray):
    """A worker is killed soon after each generation, while the tasks of the next are under way."""
    options = replace(options, generations=kills + 3)
    start_search(tmp_path / "local", options)
    monkeypatch.setattr("fitness.evaluation.evaluator.from_blueprint", slowed(0.2))
    generator, killed, timers, ended = random.Random(1), [], [], threading.Event()

    def kill():
        """Kills a worker, or waits for one to take the place of those that were killed."""
        while not ended.wait(0.02):
            if victims := sorted(set(pools[0].process_ids()) - set(killed)):
                killed.append(generator.choice(victims))
                # The worker may have ended with its pool just now.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(killed[-1], signal.SIGKILL)
                return

    def kill_soon(number):
        if len(timers) < kills:
            timers.append(threading.Timer(generator.uniform(0, 0.4), kill))
            timers[-1].start()

    backend = Backend("ray", PoolOptions(2))
    start_search(tmp_path / "run", options, backend, reporter=Listening(kill_soon))
    ended.set()
    for timer in timers:
        timer.join()
    # A search whose last generations find nothing new ends before the last timers.
    assert len(timers) == kills
    assert len(set(killed)) >= kills // 2
    assert pools[0].replaced >= 1, "all workers died before they were ready"
    assert traces(tmp_path / "run") == traces(tmp_path / "local")


def test_a_worker_that_raises(options, expected, tmp_path, pools, monkeypatch, local_ray):
    monkeypatch.setattr("fitness.evaluation.evaluator.from_blueprint", sick(str(tmp_path / "flag"), raises))
    listening = Listening()
    start_search(tmp_path / "run", options, Backend("ray", PoolOptions(2)), reporter=listening)
    assert traces(tmp_path / "run") == expected
    assert pools[0].replaced == 1
    assert [text for text in listening.sentences if "is replaced" in text and "a cosmic ray" in text]


@pytest.mark.slow
def test_a_worker_that_hangs(options, expected, tmp_path, pools, monkeypatch, local_ray):
    monkeypatch.setattr("fitness.evaluation.evaluator.from_blueprint", sick(str(tmp_path / "flag"), hangs))
    listening = Listening()
    # Long enough for a worker to get ready on a busy machine.
    pool = PoolOptions(1, task_timeout=60.0)
    start_search(tmp_path / "run", options, Backend("ray", pool), reporter=listening)
    assert traces(tmp_path / "run") == expected
    assert pools[0].replaced >= 1
    assert [text for text in listening.sentences if "did not answer within 60 s (`task_timeout`)" in text]


def test_a_slow_worker_does_not_hold_up_the_others(options, expected, tmp_path, pools, monkeypatch, local_ray):
    """The other worker does the shard of the hung worker long before the time limit of tasks."""
    monkeypatch.setattr("fitness.evaluation.evaluator.from_blueprint", sick(str(tmp_path / "flag"), hangs))
    start_search(tmp_path / "run", options, Backend("ray", PoolOptions(2, task_timeout=3000.0)))
    assert traces(tmp_path / "run") == expected
    assert pools[0].replaced == 0


@pytest.mark.slow
def test_a_node_is_removed_and_another_joins(options, expected, tmp_path, pools, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_ENABLE_AUTO_CONNECT", "0")
    monkeypatch.setattr("fitness.evaluation.evaluator.from_blueprint", slowed(0.2))
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

        listening = Listening(change)
        backend = Backend("ray", PoolOptions(3, address=cluster.address))
        start_search(tmp_path / "run", options, backend, reporter=listening)
        assert traces(tmp_path / "run") == expected
        assert pools[0].replaced == 1
        assert [text for text in listening.sentences if "is replaced: its " in text]
    finally:
        cluster.shutdown()
