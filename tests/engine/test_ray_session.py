"""A Ray of one's own listens to nobody else, and clusters that cannot be joined give one sentence."""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine import cluster_nodes, joining
from engine.errors import BackendError, OptionError
from engine.pool_options import PoolOptions
from engine.ray_session import connect, import_ray

ROOT = Path(__file__).parents[2]

LISTENING = """
import json, os, sys
from engine.pool_options import PoolOptions
from engine.ray_session import connect, import_ray

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
assert connect(ray, PoolOptions(workers=2))
worker = ray.remote(lambda: os.getpid())
workers = set(ray.get([worker.remote() for _ in range(4)]))
places = listening()
found = []
for process in family(os.getpid()):
    with open(f"/proc/{process}/comm") as file:
        name = "worker" if process in workers else file.read().strip()
    found += [[name, places[inode]] for inode in sockets(process) if inode in places]
json.dump(found, sys.stdout)
ray.shutdown()
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
    """Ray raises no more than Exception for this."""
    pytest.importorskip("ray")
    ray = import_ray()

    def fail(**_):
        raise Exception("The current node timed out during startup. This could happen because of the raylet.")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(BackendError, match=r"cannot start a local Ray: The current node timed out .*raylet; try"):
        connect(ray, PoolOptions(workers=2))
    assert not ray.is_initialized()


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
    assert "nothing answers at --address" in refused(f"{scheme}127.0.0.1:{free_port}")
    assert time.monotonic() - started < joining.REACH_SECONDS + 5


def test_an_address_that_has_no_meaning():
    assert "nothing answers at --address" in refused("no-such-host.invalid:6379")


@pytest.mark.slow
def test_something_that_listens_and_is_no_ray():
    """Ray is given one try; by itself it takes 20, which is a quarter of an hour."""
    with socket.create_server(("", 0)) as server:
        threading.Thread(target=accept_forever, args=(server,), daemon=True).start()
        started = time.monotonic()
        assert "cannot reach the Ray cluster" in refused(f"127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - started < 100


def accept_forever(server):
    held = []
    while True:
        try:
            held.append(server.accept())
        except OSError:
            return


@pytest.mark.parametrize("content", ["pip: 3", "env_vars: {A: 1}", "{pip: [flax], conda: base}"])
def test_a_file_that_ray_does_not_take(tmp_path, content):
    """Found before anything is connected to."""
    pytest.importorskip("ray")
    path = tmp_path / "environment.yaml"
    path.write_text(content)
    options = PoolOptions(address="no-such-host.invalid:6379", runtime_env=str(path))
    with pytest.raises(OptionError, match=r"--runtime-env .*environment\.yaml is not what Ray takes: ") as raised:
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
def test_what_ray_says_becomes_a_sentence(monkeypatch, free_port, error, parts):
    ray = import_ray()

    def fail(**_):
        raise error

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(joining, "_check_reachable", lambda address: None)
    sentence = refused(f"127.0.0.1:{free_port}")
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("deaths", [0, 1, 2, 3, 4])
def test_a_clients_server_that_dies_is_asked_for_again(monkeypatch, deaths):
    ray = import_ray()
    asked = []

    def init(**_):
        asked.append(1)
        if len(asked) <= deaths:
            raise ConnectionAbortedError(
                "Initialization failure from server:\nRuntimeError: Starting Ray client server failed. See a log."
            )

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(joining, "_check_reachable", lambda address: None)
    if deaths < joining.CLIENT_TRIES:
        joining._init(ray, "ray://10.0.0.1:10001", None)
    else:
        with pytest.raises(BackendError, match="Starting Ray client server failed"):
            joining._init(ray, "ray://10.0.0.1:10001", None)
    assert len(asked) == min(deaths + 1, joining.CLIENT_TRIES)


def test_rays_own_words_of_a_mismatch(monkeypatch):
    """The sentence is cut out of Ray's message, so that message must stay what it is."""
    utils = pytest.importorskip("ray._private.utils")
    with pytest.raises(RuntimeError) as raised:
        utils.check_version_info({"ray_version": "1.0.0", "python_version": "3.7.1"}, "node 10.0.0.7")
    sentence = joining._sentence(import_ray(), "auto", raised.value)
    assert "has Ray 1.0.0 and Python 3.7.1, and here are Ray" in sentence


def test_of_an_installation_that_failed_pips_words_are_left():
    text = (
        "Failed to set up runtime environment.\nTraceback (most recent call last):\n  File a.py, line 3\n"
        "ray.SubprocessCalledProcessError: Run cmd[9] failed\nLast 50 lines of stdout:\n    Looking in indexes\n"
        "    ERROR: Could not find a version that satisfies the requirement flax\n    ERROR: No matching distribution\n"
        "\n"
    )
    assert cluster_nodes.gist(text) == (
        "ERROR: Could not find a version that satisfies the requirement flax ERROR: No matching distribution"
    )
    assert cluster_nodes.gist("Traceback:\n\nModuleNotFoundError: No module named 'engine'\n") == (
        "ModuleNotFoundError: No module named 'engine'"
    )
