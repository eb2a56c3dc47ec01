"""Searches on real clusters of several nodes, each a set of processes on this machine."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HAS_DASHBOARD = all(importlib.util.find_spec(name) for name in ("ray", "aiohttp_cors", "grpc"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
needs_dashboard = pytest.mark.skipif(
    not HAS_DASHBOARD, reason="jobs and the Ray client need 'ray[default]', which is not installed"
)

WHERE_FROM = """
import sys
from engine.cluster.options import PoolOptions
from engine.cluster.connection import connect, import_ray

def where(_):
    import engine.cluster.worker, fitness.evaluation.shard_worker, models.networks.vgg
    return [engine.cluster.worker.__file__, fitness.evaluation.shard_worker.__file__, models.networks.vgg.__file__]

ray = import_ray()
connect(ray, PoolOptions(address=sys.argv[1]))
asked = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(where)
for files in ray.get([asked.remote(index) for index in range(4)]):
    print(*files, sep="\\n")
ray.shutdown()
"""


OTHER_VERSION = """
import sys
import ray
from experiments.cli import main

ray.__version__ = "2.40.1"
sys.exit(main.run(sys.argv[1:]))
"""


def away_from_the_sources():
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    return environment


def here():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


@contextmanager
def running(directory, nodes, *ports):
    """The address of a cluster whose processes start in ``directory``."""
    command = [sys.executable, ROOT / "tests" / "support" / "ray_cluster.py", nodes, *ports]
    with (directory / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=directory,
            env=away_from_the_sources(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            address = process.stdout.readline().strip()
            assert address, (directory / "cluster.log").read_text()
            yield address
        finally:
            process.stdin.close()
            process.wait(60)
            process.stdout.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes: addresses for machines of the cluster, for clients and for jobs (the latter None without)."""
    ports = free_ports(2) if HAS_DASHBOARD else []
    with running(tmp_path_factory.mktemp("cluster"), 2, *ports) as address:
        dashboard, client = ports or (None, None)
        yield address, f"ray://127.0.0.1:{client}", f"http://127.0.0.1:{dashboard}"


@pytest.fixture(scope="module")
def arguments(tiny_directory, tiny_data):
    return (
        f"--model {tiny_directory} --data npz:{tiny_data} --generations 3 --preset paper --population 6 --parents 4 "
        "--mutation 0.05 --initial-removal 0.2 --threshold 30 --batch-size 8"
    ).split()


TRIES = 30
NO_AGENT = "No available agent to submit job"


def ran(command, directory, environment=None, timeout=400):
    for _ in range(TRIES):
        result = subprocess.run(
            list(map(str, command)),
            cwd=directory,
            env=environment or here(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        # The cluster of the test is so young that the agent for jobs may still be starting.
        if NO_AGENT not in result.stderr:
            break
        time.sleep(2)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def search(directory, name, arguments, *backend):
    ran([sys.executable, "-m", "experiments.cli.main", "search", name, *arguments, *backend], directory)
    return (directory / name / "journal.jsonl").read_text()


@pytest.fixture(scope="module")
def local_journal(tmp_path_factory, arguments):
    return search(tmp_path_factory.mktemp("local"), "local", arguments)


def test_a_cluster_that_has_nothing_of_ours_gives_the_same_search(cluster, tmp_path, arguments, local_journal):
    found = search(tmp_path, "run", arguments, "--backend", "ray", "--address", cluster[0], "--workers", "2")
    assert found == local_journal


def test_nodes_run_the_code_that_was_sent(cluster, tmp_path):
    """The editable install of a developer is there too; what was sent comes first."""
    files = ran([sys.executable, "-c", WHERE_FROM, cluster[0]], tmp_path).split()
    assert len(files) == 12
    assert all("/py_modules_files/" in name for name in files), files


def test_another_version_of_ray_is_refused_with_a_sentence(cluster, tmp_path, arguments):
    import ray

    backend = ["--backend", "ray", "--address", cluster[0]]
    result = subprocess.run(
        [sys.executable, "-c", OTHER_VERSION, "search", "run", *arguments, *backend],
        cwd=tmp_path,
        env=here(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 2
    assert f"has Ray {ray.__version__} and Python" in result.stderr
    assert "here are Ray 2.40.1 and Python" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_file_replaces_what_is_sent(cluster, tmp_path, arguments, local_journal):
    """Nothing is sent here: the environment has our code on its path, as an image would."""
    (tmp_path / "image.yaml").write_text(f"env_vars: {{PYTHONPATH: '{ROOT}', EVOPRUNE_IMAGE: 'yes'}}\n")
    backend = ("--backend", "ray", "--address", cluster[0], "--workers", "1", "--runtime-env", "image.yaml")
    assert search(tmp_path, "run", arguments, *backend) == local_journal


@needs_dashboard
def test_a_client_elsewhere_gives_the_same_search(cluster, tmp_path, arguments, local_journal):
    found = search(tmp_path, "run", arguments, "--backend", "ray", "--address", cluster[1], "--workers", "2")
    assert found == local_journal


@needs_dashboard
def test_a_job_gives_the_same_search(cluster, tmp_path, arguments, local_journal):
    """From a source tree; the environment at hand has the requirements, so that no pip is needed."""
    # Ray tells a job the address of any cluster on its machine; other tests may have a cluster here.
    ours = ["env", f"RAY_ADDRESS={cluster[0]}"]
    entrypoint = [*ours, sys.executable, "-m", "experiments.cli.main", "search", tmp_path / "run", *arguments]
    backend = ["--backend", "ray", "--address", "auto", "--workers", "2"]
    ray = Path(sys.executable).with_name("ray")
    submit = [ray, "job", "submit", "--address", cluster[2], "--working-dir", ROOT, "--"]
    ran([*submit, *entrypoint, *backend], tmp_path, away_from_the_sources())
    assert (tmp_path / "run" / "journal.jsonl").read_text() == local_journal
