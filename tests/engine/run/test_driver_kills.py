"""A real driver, killed by SIGKILL at random moments and resumed each time.

``EVOPRUNE_KILLS=50`` kills more often than the three times of the suite; ``EVOPRUNE_KILL_SEED`` draws other moments.
"""

import collections
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.run.journal import read_rows
from engine.stores.locations import open_store

KILLS = int(os.environ.get("EVOPRUNE_KILLS", "3"))
SEED = int(os.environ.get("EVOPRUNE_KILL_SEED", "0"))
# The command line, which also logs each mask before its evaluation.
DRIVER = """
import os, sys
from engine.search import evaluation
from experiments.cli import main
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
counts = evaluation.checked_counts
def logged(evaluator, masks, *rest):
    os.write(log, b"".join(mask.tobytes().hex().encode() + b"\\n" for mask in masks))
    return counts(evaluator, masks, *rest)
evaluation.checked_counts = logged
main.main(sys.argv[2:])
"""


def contents(path):
    """All files without times: no timings, no run.json, no lock."""
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    for name in ("timings.jsonl", "run.json", ".lock"):
        files.pop(name)
    return files


@pytest.mark.slow
def test_a_driver_killed_again_and_again_leaves_the_same_run(tiny_directory, tiny_data, tmp_path):
    rng = np.random.default_rng(SEED)
    # The tests' compilation cache serves all drivers.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "true"}
    begin = [
        *("--model", str(tiny_directory), "--data", f"npz:{tiny_data}", "--threshold", "20"),
        *("--preset", "paper", "--population", "8", "--parents", "4", "--mutation", "0.05"),
        *("--population-cap", "12"),
        *("--initial-removal", "0.1", "--seed", "5", "--generations", str(6 * KILLS + 20)),
    ]

    def driver(run, log):
        again = (run / "run.json").exists()
        arguments = ["resume", str(run)] if again else ["search", str(run), *begin]
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(log), *arguments],
            cwd=Path(__file__).parents[3],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    whole, run = tmp_path / "whole", tmp_path / "run"
    process = driver(whole, tmp_path / "whole.log")
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()

    kills = 0
    while True:
        process = driver(run, tmp_path / "run.log")
        if kills < KILLS:
            wait(process, run, rng)
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors.decode()
        kills += 1
    assert kills == KILLS
    assert contents(run) == contents(whole)

    rows = read_rows(open_store(run), "journal.jsonl")
    largest = max(row["new_evaluations"] for row in rows)
    first, second = (
        collections.Counter((tmp_path / name).read_text().split()) for name in ("whole.log", "run.log")
    )
    assert set(first.values()) == {1}
    assert len(first) == rows[-1]["evaluations"]
    assert second.keys() == first.keys()
    repeated = second.total() - first.total()
    print(f"{kills} kills, {repeated} evaluations repeated, {largest} in the largest generation")
    assert repeated <= kills * largest


def wait(process, run, rng):
    """Wait until a random moment: while the driver starts, or after it has saved a generation."""
    if rng.random() < 0.2:
        time.sleep(float(rng.random()) * 3)
        return
    journal = run / "journal.jsonl"
    seen = journal.stat().st_size if journal.exists() else 0
    while process.poll() is None and not (journal.exists() and journal.stat().st_size > seen):
        time.sleep(0.002)
    time.sleep(float(rng.random()) * 0.05)
