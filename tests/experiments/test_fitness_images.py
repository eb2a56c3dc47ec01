"""What is made of a run goes by the images that it searched on, and by no others."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from engine.run_directory import RunDirectory
from experiments import cli
from experiments.search_run import resume_search, start_search
from tests.experiments.test_cli import refused
from tests.experiments.test_search_run import SETTINGS, options_for


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    """A search that looks at its images in an order of its own."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    settings = replace(SETTINGS, race=0.05)
    start_search(path, options_for(tiny_directory, tiny_data, settings=settings, generations=1))
    return path


def contents(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_digest_is_that_of_the_arrays_in_the_order_of_the_data(finished, tiny_data):
    with np.load(tiny_data) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    expected = hashlib.sha256(b"|u1(40, 8, 8, 2)" + images.tobytes() + b"<i4(40,)" + labels.tobytes())
    assert RunDirectory.open(finished).description()["images_digest"] == expected.hexdigest()


@pytest.mark.parametrize("change", ["a pixel", "a label", "the order", "one less"])
def test_other_images_are_refused_and_nothing_is_written(finished, tiny_data, tmp_path, capsys, change):
    with np.load(tiny_data) as found:
        arrays = dict(found)
    if change == "a pixel":
        arrays["x_train"][7, 3, 3, 1] ^= 1
    elif change == "a label":
        arrays["y_train"][7] = (arrays["y_train"][7] + 1) % 3
    else:
        chosen = np.roll(np.arange(40), 1) if change == "the order" else np.arange(39)
        arrays["x_train"], arrays["y_train"] = arrays["x_train"][chosen], arrays["y_train"][chosen]
    np.savez(tmp_path / "other.npz", **arrays)
    run, moved = tmp_path / "run", ["--data-dir", str(tmp_path / "other.npz")]
    shutil.copytree(finished, run)
    before = contents(tmp_path)
    for command in (
        ["export", run, tmp_path / "pruned"],
        ["export", run, tmp_path / "pruned", "--refit"],
        ["report", run],
    ):
        refused(capsys, [*command, *moved], "are not those that", f"{run} began with; give them with --data-dir.")
    assert contents(tmp_path) == before


def test_the_same_images_elsewhere_will_do(finished, tiny_data, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    moved = ["--data-dir", str(shutil.copy(tiny_data, tmp_path / "moved.npz"))]
    assert cli.run(["export", str(run), str(tmp_path / "pruned"), *moved]) == 0
    assert cli.run(["report", str(run), *moved]) == 0
    assert resume_search(run, generations=2, data_dir=moved[1])["generation"] == 2


def test_a_run_from_before_there_was_a_digest_is_read(finished, tmp_path, tiny_data):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    description = json.loads((run / "run.json").read_text())
    del description["images_digest"]
    (run / "run.json").write_text(json.dumps(description))
    assert cli.run(["export", str(run), str(tmp_path / "pruned")]) == 0
    assert cli.run(["report", str(run)]) == 0
