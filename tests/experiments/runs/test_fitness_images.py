"""What is made of a run goes by the images that it searched on, and by no others."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from engine.run.directory import RunDirectory
from experiments.cli import main
from experiments.runs.fitness_images import usual_images, with_usual_images
from experiments.runs.options import Backend
from experiments.runs.problem import Problem
from experiments.runs.search import resume_search, start_search
from tests.support.command_line import refused
from tests.support.runs import SETTINGS, Listening, options_for


@pytest.fixture(scope="module")
def raced(tmp_path_factory, tiny_directory, tiny_data):
    """A search that looks at its images in an order of its own."""
    path = tmp_path_factory.mktemp("runs") / "raced"
    settings = replace(SETTINGS, race=0.05)
    start_search(path, options_for(tiny_directory, tiny_data, settings=settings, generations=1))
    return path


@pytest.mark.parametrize(
    ("threshold", "macs", "expected"),
    [
        (2.0, 10**6, 3_200),
        (0.5, 10**6, 12_800),
        # A pass over more images would take too long.
        (0.5, 313_725_952, 3_187),
        (2.0, 4 * 10**9, 1_000),
        (5.0, 4 * 10**7, 1_280),
        (50.0, 10**6, 1_000),
        (0.0, 10**8, 10_000),
    ],
)
def test_the_usual_number_of_images(threshold, macs, expected):
    assert usual_images(threshold, macs) == expected


@pytest.mark.parametrize(
    ("given", "finish", "expected"), [(None, True, 25), (None, False, 40), (30, True, 30), (40, True, 40)]
)
def test_only_a_search_that_names_no_number_and_has_a_finish_takes_the_usual_images(
    given, finish, expected, tiny_directory, tiny_data, monkeypatch
):
    monkeypatch.setattr("experiments.runs.fitness_images.usual_images", lambda threshold, macs: 25)
    told = Listening()
    options = options_for(tiny_directory, tiny_data, finish=finish)
    options = replace(options, data=replace(options.data, images=given))
    problem = with_usual_images(Problem.load(options.on(Backend()), told))
    assert len(problem.images) == expected
    assert any("25 of the 40 images of the split train" in text for text in told.sentences) == (expected == 25)
    # A data set that has no more is taken whole, and later runs of it too.
    monkeypatch.setattr("experiments.runs.fitness_images.usual_images", lambda threshold, macs: 40)
    assert with_usual_images(Problem.load(options.on(Backend()), told)).options.data.images == given


def contents(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_digest_is_that_of_the_arrays_in_the_order_of_the_data(raced, tiny_data):
    with np.load(tiny_data) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    expected = hashlib.sha256(b"|u1(40, 8, 8, 2)" + images.tobytes() + b"<i4(40,)" + labels.tobytes())
    assert RunDirectory.open(raced).description()["images_digest"] == expected.hexdigest()


@pytest.mark.parametrize("change", ["a pixel", "a label", "the order", "one less"])
def test_other_images_are_refused_and_nothing_is_written(raced, tiny_data, tmp_path, capsys, change):
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
    shutil.copytree(raced, run)
    before = contents(tmp_path)
    for command in (
        ["export", run, tmp_path / "pruned"],
        ["export", run, tmp_path / "pruned", "--refit"],
        ["report", run],
    ):
        refused(capsys, [*command, *moved], "are not those that", f"{run} began with; give them with --data-dir.")
    assert contents(tmp_path) == before


def test_the_same_images_elsewhere_will_do(raced, tiny_data, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(raced, run)
    moved = ["--data-dir", str(shutil.copy(tiny_data, tmp_path / "moved.npz"))]
    assert main.run(["export", str(run), str(tmp_path / "pruned"), *moved]) == 0
    assert main.run(["report", str(run), *moved]) == 0
    assert resume_search(run, generations=2, data_dir=moved[1]).generation == 2
