"""A search in a bucket of an S3 server (moto's, in this process); the driver is a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest

from engine.errors import RunError, RunStoreError
from engine.stores.locations import open_store
from experiments.runs.search import resume_search
from experiments.runs.watching.status import read_status
from tests.support.runs import OPTIONS_OF_THE_COMMAND_LINE, traces

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket():
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
        yield "s3://bucket"
    running.stop()


def evoprune(*arguments):
    command = [sys.executable, "-m", "experiments.cli.main", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_bucket_keeps_what_a_store_promises(bucket):
    store = open_store(f"{bucket}/promises")
    assert not store.exists("checkpoints")
    assert store.names("checkpoints") == []
    store.create("run.json", b"1")
    with pytest.raises(FileExistsError):
        store.create("run.json", b"2")
    for content in (b"2", b"x" * 7_000_000):
        store.write("run.json", content)
        assert open_store(f"{bucket}/promises").read("run.json") == content
    assert 0 <= store.age("run.json") < 60
    for line in (b"1\n", b"2\n"):
        store.append("journal.jsonl", line)
    store.cut_log("journal.jsonl", 2)
    assert store.read_log("journal.jsonl") == b"1\n"
    store.remove("run.json")
    store.remove("run.json")
    with pytest.raises(FileNotFoundError):
        store.read("run.json")
    assert store.names("") == ["journal.jsonl"]
    with pytest.raises(RunStoreError, match=r"s3://nobucket/run/run\.json .*bucket does not exist"):
        open_store("s3://nobucket/run").write("run.json", b"")


def test_a_driver_killed_at_a_bucket_is_taken_over_and_the_search_is_the_same(
    bucket, tiny_directory, tiny_data, tmp_path, monkeypatch
):
    begin = ["--model", tiny_directory, "--data", f"npz:{tiny_data}", "--generations", "12"]
    begin += OPTIONS_OF_THE_COMMAND_LINE
    whole = evoprune("search", tmp_path / "run", *begin)
    run = f"{bucket}/run"
    driver = evoprune("search", run, *begin)
    store = open_store(run)
    while len(store.read_log("journal.jsonl").splitlines()) < 3:
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.01)
    with pytest.raises(RunError, match=rf"\({driver.pid} on .*\) is at work on s3://bucket/run"):
        resume_search(run)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    with pytest.raises(RunError, match=r"try again in \d+ s"):
        resume_search(run)
    monkeypatch.setattr("engine.stores.lease.EXPIRY", -1.0)
    assert resume_search(run).complete
    assert not store.exists("lease.json")
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors.decode()
    assert read_status(run).complete
    assert traces(run) == traces(tmp_path / "run")
    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1")
