"""A head or a node of Ray that is gone ends a search with a sentence, and a head that restarts does not."""

import socket
import time
from pathlib import Path

import pytest

from engine.cluster import head
from engine.cluster.head import HeadWatch, lost_connection
from engine.errors import BackendError, EvaluationError


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(head, "EVERY", 0.05)


def listening(port=0):
    return socket.create_server(("127.0.0.1", port), reuse_port=True)


def wait_for(condition):
    ended = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ended
        time.sleep(0.02)


def gone(watch):
    try:
        watch.check()
    except BackendError:
        return True
    return False


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_head_that_is_gone_ends_the_search(scheme):
    with listening() as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        watch = HeadWatch(address, patience=0.5)
        time.sleep(1)
        watch.check()
        assert watch.answers()
    wait_for(lambda: gone(watch))
    assert not watch.answers()
    with pytest.raises(
        BackendError, match=r"head of Ray at .*has not answered for .*resume the run with `backend`"
    ):
        watch.check()
    watch.close()


def test_a_head_that_restarts_in_time_does_no_harm():
    with listening() as server:
        port = server.getsockname()[1]
        watch = HeadWatch(f"127.0.0.1:{port}", patience=5.0)
    wait_for(lambda: not watch.answers())
    with listening(port):
        wait_for(watch.answers)
        time.sleep(0.2)
        watch.check()
    watch.close()


def test_a_node_that_is_gone_is_seen_at_once():
    path = Path("/tmp") / f"h{time.monotonic_ns()}"
    with listening() as server, socket.socket(socket.AF_UNIX) as node:
        node.bind(str(path))
        node.listen()
        watch = HeadWatch(f"127.0.0.1:{server.getsockname()[1]}", str(path))
        line, _ = node.accept()
        watch.check()
        # A line that breaks is tried once more.
        line.close()
        watch.check()
        again, _ = node.accept()
        node.close()
        again.close()
        with pytest.raises(BackendError, match=r"node on this machine is gone; .*resume the run"):
            watch.check()
        watch.close()
    path.unlink()


def test_a_head_without_a_known_address_is_believed():
    watch = HeadWatch(None, patience=0.0)
    assert watch.answers()
    watch.close()


def test_patience_ends_before_ray_does(monkeypatch):
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "100")
    assert head.SHARE * head._seconds_of_ray() == 60
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "soon")
    assert head._seconds_of_ray() == head.RAY_SECONDS


@pytest.mark.parametrize("error", [ConnectionError("Client is shutting down."), ConnectionResetError("reset")])
def test_a_lost_connection_is_one_sentence(error):
    with pytest.raises(
        BackendError, match=r"^the connection to Ray is lost \(.*\); finished generations are saved"
    ):
        raise_in(error)


@pytest.mark.parametrize("error", [BrokenPipeError(), EvaluationError("ours"), KeyError("a fault of ours")])
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)):
        raise_in(error)


def raise_in(error):
    with lost_connection():
        raise error
