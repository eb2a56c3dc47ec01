"""Standard output holds the result alone, whatever else is written to its descriptor, and may be closed or full."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.cli import main, standard_output

ROOT = Path(__file__).parents[3]

LISTING = """
import sys, types
from experiments.cli import main

# The command without the seconds that the import of JAX takes.
description = types.ModuleType("description")
entry = {"input_shape": [1], "parameters": 1, "macs": 1, "prunable_filters": 1, "prunable_neurons": 1}
description.catalogue = lambda: {"vgg16": entry}
sys.modules["experiments.measurement.description"] = description
"""

QUIET = LISTING + "main.main(sys.argv[1:])"

NOISY = (
    LISTING
    + """
import ctypes, os, signal, time
from experiments.cli.commands import models
from engine.errors import DataError

def noise(word):
    print(f"print {word}")
    sys.__stdout__.write(f"original {word}\\n")
    sys.__stdout__.flush()
    os.write(1, f"descriptor {word}\\n".encode())
    # Stays in C's buffer until the process ends.
    ctypes.CDLL(None).printf(f"buffered {word}\\n".encode())

def before(*arguments):
    noise("before")
    action = sys.argv.pop(1)
    if action == "fail":
        raise DataError("`data` is noisy.")
    if action == "wait":
        # A shell has what it runs in the background ignore SIGINT, tests and all.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("waiting", file=sys.stderr, flush=True)
        time.sleep(60)
    return print_result(*arguments)

print_result = models.print_result
models.print_result = before
main.main(sys.argv[2:])
"""
)


def started(*arguments, **streams):
    command = [sys.executable, "-c", NOISY, *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, **{"stderr": subprocess.PIPE, **streams})


@pytest.mark.parametrize("arguments", [["--json"], pytest.param([], marks=pytest.mark.slow)])
def test_libraries_that_print_do_not_reach_standard_output(arguments):
    process = started("go", "models", *arguments, stdout=subprocess.PIPE)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0
    for way in ("print", "original", "descriptor", "buffered"):
        assert f"{way} before" not in out
        assert f"{way} before" in error
    if arguments:
        assert out.count("\n") == 1
        assert "vgg16" in json.loads(out)
    else:
        assert out.startswith("network ")


def test_a_refused_command_leaves_standard_output_empty():
    process = started("fail", "models", "--json", stdout=subprocess.PIPE)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "evoprune: error: --data is noisy." in error


def test_an_interrupted_command_leaves_standard_output_empty():
    process = started("wait", "models", "--json", stdout=subprocess.PIPE)
    while "waiting" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in error


def test_a_reader_that_has_gone_ends_the_command_without_a_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    process = started("go", "models", "--json", stdout=writing)
    os.close(writing)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in error
    assert "BrokenPipe" not in error


@pytest.mark.parametrize(
    ("closed", "status"),
    [(">&-", 0), *(pytest.param(closed, 0, marks=pytest.mark.slow) for closed in ("2>&-", ">&- 2>&-", "<&-"))],
)
def test_closed_streams(closed, status, tmp_path):
    """What would go to a closed stream is lost, and lands in no file that happens to get its descriptor."""
    command = ["sh", "-c", f'"$0" "$@" {closed}', sys.executable, "-c", QUIET, "models", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (status, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_under_standard_output_is_told():
    with open("/dev/full", "w") as full:
        process = started("go", "models", "--json", stdout=full)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot write or read the output: No space left on device" in error
    assert "Traceback" not in error


def test_help_is_a_result():
    ran = subprocess.run(
        [sys.executable, "-m", "experiments.cli.main", "models", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("Usage: evoprune models")
    assert ran.stderr == ""


def test_a_block_inside_a_block_changes_nothing(capsys):
    with standard_output.reserved(), standard_output.reserved():
        print("noise")
        standard_output.write("result")
    print("after")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("result\nafter\n", "noise\n")


DEATH = 120.0


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_one_json_object(tmp_path, tiny_directory, tiny_data):
    """The death is told on standard error, in one line."""
    pytest.importorskip("ray")
    search = (
        f"search {tmp_path / 'run'} --json --model {tiny_directory} --data npz:{tiny_data} --generations 400 "
        "--preset paper --population 8 --parents 4 --mutation 0.05 --backend ray --workers 2"
    ).split()
    with (tmp_path / "error").open("w") as error:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.cli.main", *search],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=error,
        )
        told, ended = (tmp_path / "error").read_text, time.monotonic() + DEATH
        while "generation " not in told():
            assert process.poll() is None, told()
            assert time.monotonic() < ended, told()
            time.sleep(0.2)
        os.kill(worker_of(process.pid), signal.SIGKILL)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told()
    assert out.count(b"\n") == 1
    assert json.loads(out)["complete"]
    lines = [line for line in told().splitlines() if "is replaced" in line]
    assert len(lines) == 1
    assert "(raylet)" not in told()


def worker_of(root):
    """The process id of a Ray worker below a process."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    family = {str(root)}
    while grown := {child for child, parent, _ in rows if parent in family} - family:
        family |= grown
    return next(int(child) for child, _, name in rows if child in family and name.startswith("ray::Worker"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("arguments", "status"), [(["info", "{model}"], 0), (["nonsense"], 2)])
def test_a_standard_error_that_takes_nothing_changes_no_result(tiny_directory, capsys, arguments, status):
    words = [word.format(model=tiny_directory) for word in arguments]
    assert main.run(words) == status
    expected = capsys.readouterr().out
    command = [sys.executable, "-m", "evoprune", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True)
    assert (done.returncode, done.stdout) == (status, expected)
