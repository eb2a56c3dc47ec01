"""A private Ray listens on loopback only, and a cluster that cannot be joined gives one sentence."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.cluster import connection, faults
from engine.cluster.connection import connect, import_ray
from engine.cluster.options import PoolOptions
from engine.errors import BackendError, OptionError

ROOT = Path(__file__).parents[3]

LISTENING = """
import json, os, sys
from engine.cluster.options import PoolOptions
from engine.cluster.connection import connect, import_ray

def family(root):
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except FileNotFoundError:
                pass
    members = {root}
    while grown := {child for child, parent in parents.items() if parent in members} - members:
        members |= grown
    return members

def sockets(process):
    for number in os.listdir(f"/proc/{process}/fd"):
        try:
            target = os.readlink(f"/proc/{process}/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]

def listening():
    places = {}
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    places[fields[9]] = fields[1].split(":")[0]
    return places

ray = import_ray()
connection = connect(ray, PoolOptions(workers=2))
worker = ray.remote(lambda: os.getpid())
workers = set(ray.get([worker.remote() for _ in range(4)]))
places = listening()
found = []
for process in family(os.getpid()):
    with open(f"/proc/{process}/comm") as file:
        name = "worker" if process in workers else file.read().strip()
    found += [[name, places[inode]] for inode in sockets(process) if inode in places]
json.dump(found, sys.stdout)
connection.close()
"""

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same in IPv6, and ::1, as the kernel writes them."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads the kernel's table of sockets")
def test_a_private_ray_listens_on_loopback_alone(tmp_path):
    pytest.importorskip("ray")
    ran = subprocess.run([sys.executable, "-c", LISTENING], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert {"gcs_server", "raylet", "worker"} <= {name for name, _ in found}
    assert [entry for entry in found if entry[1] not in LOOPBACK] == []


def test_a_ray_that_takes_too_long_to_start(monkeypatch):
    """Ray raises a plain Exception."""
    pytest.importorskip("ray")
    ray = import_ray()

    told, asked = [], []

    def fail(**_):
        asked.append(1)
        raise Exception("The current node timed out during startup. This could happen because of the raylet.")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(
        BackendError, match=r"cannot start a local Ray: The current node timed out .*raylet; try again"
    ):
        connect(ray, PoolOptions(workers=2), told.append)
    assert not ray.is_initialized()
    assert len(asked) == 2
    assert [sentence for sentence in told if "trying again" in sentence]


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "free some space under "),
        (OSError(errno.EMFILE, "Too many open files"), "raise the limit on open files"),
        (ValueError("Ray's object store\nis odd."), "is odd; use `backend` local"),
    ],
)
def test_a_ray_that_does_not_start_for_another_reason(monkeypatch, error, part):
    """A machine with less to do would not help."""
    pytest.importorskip("ray")
    ray = import_ray()

    def fail(**_):
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(BackendError, match="cannot start a local Ray: ") as raised:
        connect(ray, PoolOptions(workers=2))
    assert part in str(raised.value)
    assert "less to do" not in str(raised.value)
    assert not ray.is_initialized()


def test_a_private_ray_is_as_large_as_its_workers(monkeypatch):
    """Ray starts a process for each CPU that it is given, and would be given all of the machine."""
    pytest.importorskip("ray")
    ray = import_ray()
    given, environment = {}, {}

    def init(**options):
        given.update(options)
        environment.update(os.environ)
        raise ValueError("enough")

    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "10.255.255.1:6379")
    before = dict(os.environ)
    with pytest.raises(BackendError):
        connect(ray, PoolOptions(workers=2, cpus_per_worker=3))
    assert given["num_cpus"] == 6
    assert environment["RAY_enable_worker_prestart"] == "0"
    assert "RAY_ADDRESS" not in environment
    assert dict(os.environ) == before
    assert not os.path.exists(given["_temp_dir"])


def test_the_users_own_ray_is_left_alone(monkeypatch):
    pytest.importorskip("ray")
    ray = import_ray()
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", None)
    monkeypatch.setattr(ray, "shutdown", None)
    before = ray._private.worker._worker_logs_enabled
    assert connect(ray, PoolOptions(workers=2)) is None
    assert ray._private.worker._worker_logs_enabled == before


def refused(address, **options):
    ray = pytest.importorskip("ray")
    with pytest.raises(BackendError) as raised:
        connect(import_ray(), PoolOptions(address=address, **options))
    assert not ray.is_initialized()
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert address in sentence
    return sentence


@pytest.fixture
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens(free_port, scheme):
    started = time.monotonic()
    assert "nothing answers at `address`" in refused(f"{scheme}127.0.0.1:{free_port}")
    assert time.monotonic() - started < connection.REACH_SECONDS + 5


def test_an_unknown_host():
    assert "nothing answers at `address`" in refused("no-such-host.invalid:6379")


NO_RAY = """
import sys, time
from engine.cluster.connection import connect, import_ray
from engine.cluster.options import PoolOptions
from engine.errors import BackendError
ray, started = import_ray(), time.monotonic()
try:
    connect(ray, PoolOptions(address=sys.argv[1]))
except BackendError as error:
    print(error)
    print(time.monotonic() - started)
"""


@pytest.mark.slow
def test_something_that_listens_and_is_no_ray():
    """Ray gets one try. By itself it tries 20 times, 30 seconds each; here a try takes 3 seconds."""
    pytest.importorskip("ray")
    with socket.create_server(("", 0)) as server:
        threading.Thread(target=accept_forever, args=(server,), daemon=True).start()
        ran = subprocess.run(
            [sys.executable, "-c", NO_RAY, f"127.0.0.1:{server.getsockname()[1]}"],
            env={**os.environ, "RAY_py_gcs_connect_timeout_s": "3"},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    sentence, seconds = ran.stdout.splitlines()
    assert "cannot reach the Ray cluster" in sentence
    assert float(seconds) < 10 * 3


def accept_forever(server):
    held = []
    while True:
        try:
            held.append(server.accept())
        except OSError:
            return


@pytest.mark.parametrize("content", ["pip: 3", "env_vars: {A: 1}", "{pip: [flax], conda: base}"])
def test_a_file_that_ray_does_not_take(tmp_path, content):
    """The error comes before any connection."""
    pytest.importorskip("ray")
    path = tmp_path / "environment.yaml"
    path.write_text(content)
    options = PoolOptions(address="no-such-host.invalid:6379", runtime_env=str(path))
    with pytest.raises(OptionError, match=r"`runtime_env` .*environment\.yaml is not what Ray takes: ") as raised:
        connect(import_ray(), options)
    assert "\n" not in str(raised.value)


MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.41.0
    Python: 3.12.1
This process on node 10.0.0.7 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (RuntimeError(MISMATCH), ["has Ray 2.41.0 and Python 3.12.1", "here are Ray 2.60.0 and Python 3.11.7"]),
        (
            RuntimeError("No node info found matching attributes: ''"),
            ["no node on this machine", "ray://HOST:10001"],
        ),
        (
            ConnectionError("ray client\nconnection timeout"),
            ["cannot reach", "ray client connection timeout", "set RAY_AUTH_MODE=token"],
        ),
        (ValueError("Failed to merge the Job's runtime env"), ["Failed to merge the Job's runtime env"]),
    ],
)
def test_an_error_of_ray_becomes_one_sentence(monkeypatch, free_port, error, parts):
    ray = import_ray()

    def fail(**_):
        raise error

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(connection, "_check_reachable", lambda address: None)
    sentence = refused(f"127.0.0.1:{free_port}")
    for part in parts:
        assert part in sentence


def trace_of_the_head(last):
    """What a client hears when the head cannot start its server."""
    return f"""Initialization failure from server:
Traceback (most recent call last):
  File "ray/util/client/server/proxier.py", line 765, in Datapath
    if not self.proxy_manager.start_specific_server(
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
{last}
"""


DIED = [
    "RuntimeError: Starting Ray client server failed. See a log.",
    "psutil.ZombieProcess: PID still exists but it's a zombie",
    "TimeoutError: GetOrCreateRuntimeEnv request failed after 5 attempts.",
]


@pytest.mark.parametrize(
    ("deaths", "last"), [*((deaths, DIED[0]) for deaths in range(5)), (2, DIED[1]), (3, DIED[2])]
)
def test_a_clients_server_that_dies_is_requested_again(monkeypatch, deaths, last):
    ray = import_ray()
    asked = []

    def init(**_):
        asked.append(1)
        if len(asked) <= deaths:
            raise ConnectionAbortedError(trace_of_the_head(last))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connection, "_check_reachable", lambda address: None)
    if deaths < connection.CLIENT_TRIES:
        connection._init(ray, "ray://10.0.0.1:10001", None)
    else:
        with pytest.raises(BackendError, match=last.rstrip(".")) as raised:
            connection._init(ray, "ray://10.0.0.1:10001", None)
        assert "Traceback" not in str(raised.value)
    assert len(asked) == min(deaths + 1, connection.CLIENT_TRIES)


def test_a_runtime_environment_that_fails_is_not_tried_again(monkeypatch):
    ray = import_ray()
    asked = []

    def init(**_):
        asked.append(1)
        raise ConnectionAbortedError(
            trace_of_the_head("RuntimeError: Failed to create runtime_env, caused by: pip")
        )

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connection, "_check_reachable", lambda address: None)
    with pytest.raises(BackendError, match="Failed to create runtime_env, caused by: pip"):
        connection._init(ray, "ray://10.0.0.1:10001", None)
    assert len(asked) == 1


def test_a_version_mismatch_as_ray_reports_it(monkeypatch):
    """Our sentence is extracted from Ray's message, so a changed message must fail here."""
    utils = pytest.importorskip("ray._private.utils")
    with pytest.raises(RuntimeError) as raised:
        utils.check_version_info({"ray_version": "1.0.0", "python_version": "3.7.1"}, "node 10.0.0.7")
    sentence = connection._sentence(import_ray(), "auto", raised.value)
    assert "has Ray 1.0.0 and Python 3.7.1, and here are Ray" in sentence


def test_the_gist_of_a_failed_installation_is_pips_errors():
    text = (
        "Failed to set up runtime environment.\nTraceback (most recent call last):\n  File a.py, line 3\n"
        "ray.SubprocessCalledProcessError: Run cmd[9] failed\nLast 50 lines of stdout:\n    Looking in indexes\n"
        "    ERROR: Could not find a version that satisfies the requirement flax\n    ERROR: No matching distribution\n"
        "\n"
    )
    assert faults.gist(text) == (
        "ERROR: Could not find a version that satisfies the requirement flax ERROR: No matching distribution"
    )
    assert faults.gist("Traceback:\n\nModuleNotFoundError: No module named 'engine'\n") == (
        "ModuleNotFoundError: No module named 'engine'"
    )
