"""What the tests of the commands share: a finished search, and reports that neither time nor draw."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.runs.search import start_search
from models.model_directory import Model, save
from models.networks.vgg import VGGArchitecture
from tests.models.support.small_networks import filled, logits
from tests.support.named_model import NAMES, NORMALISATION
from tests.support.runs import SPEED, options_for

SMALLEST = VGGArchitecture("smallest", ((4,),), (), 3, (8, 8, 2), dropout=0.0)


@pytest.fixture(scope="session", autouse=True)
def no_measurements():
    """Reports do not measure the speed of networks, which compiles them once more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.report.results.speed.SECONDS", 0.0)
        patch.setattr("experiments.report.results.run_results.measure_speed", lambda *_: dict(SPEED))
        yield


@pytest.fixture(scope="session")
def smallest_model(tiny_model) -> Model:
    """An untrained network of one convolution, for the images of the tiny one: trainings compile fast."""
    return replace(tiny_model, network=filled(SMALLEST))


@pytest.fixture(scope="session")
def smallest_directory(tmp_path_factory, smallest_model):
    path = tmp_path_factory.mktemp("models") / "smallest"
    save(path, smallest_model)
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    """A finished search by the thesis's algorithm and its result. Tests that write into a run take ``run_copy``."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    return path, start_search(path, options_for(tiny_directory, tiny_data))


@pytest.fixture
def run_copy(finished, tmp_path):
    """The finished search in a folder of the test's own."""
    return shutil.copytree(finished[0], tmp_path / "run")


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are made and not drawn, which takes most of a report's time and is tested elsewhere."""

    def save(figure, target, **_):
        content = b"\x89PNG\r\n\x1a\n" + figure.axes[0].get_title(loc="left").encode()
        if isinstance(target, str | os.PathLike):
            Path(target).write_bytes(content)
        else:
            target.write(content)

    monkeypatch.setattr(Figure, "savefig", save)
    blank = "<svg><style>@media (prefers-color-scheme:dark){}</style></svg>"
    monkeypatch.setattr("experiments.report.html.rendering.themed_svg", lambda *_: blank)


@pytest.fixture(scope="session")
def named(tmp_path_factory):
    """A model of grey images, and what it answers to 90 of them, 10 at least of each class."""
    network = VGGArchitecture("named", ((4,),), (), 3, (8, 8, 1), dropout=0.0).build(0)
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype=np.uint8)
    inputs = NORMALISATION(jnp.asarray(images))
    network.stages[-1].dense.bias[...] = jnp.asarray(-np.median(logits(network, inputs), axis=0))
    answers = np.argmax(logits(network, inputs), axis=-1)
    assert np.bincount(answers, minlength=3).min() >= 10
    directory = tmp_path_factory.mktemp("models") / "named"
    save(directory, Model(network, NORMALISATION, NAMES))
    return directory, images, answers


@pytest.fixture
def untrained(monkeypatch):
    """``train`` and ``finetune`` leave the weights as they are, and compile no step."""
    monkeypatch.setattr("experiments.training.train.train", lambda *_, **__: None)
