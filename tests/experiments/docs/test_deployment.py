"""The scripts of docs/deployment.md, as they stand, in a process that does not import our packages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.cli import main
from experiments.runs.exporting.export import export_run
from models.errors import ExportError
from models.export.registry import FORMATS
from tests.models.support.small_networks import logits

ROOT = Path(__file__).parents[3]
SCRIPTS = dict(
    re.findall(
        r"## (\w+)\n(?:(?!## ).)*?```python\n(.*?)```", (ROOT / "docs/deployment.md").read_text(), re.DOTALL
    )
)
PACKAGES = {"onnx": "onnxruntime", "torch": "torch", "stablehlo": "jax", "native": "jax"}
HEADINGS = {"onnx": "ONNX", "stablehlo": "StableHLO", "torch": "PyTorch", "native": "Native"}
STRANGERS = "\nimport sys\nassert not {'engine', 'models', 'fitness', 'experiments'} & set(sys.modules)\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_directory, tiny_data):
    """A short search."""
    place = tmp_path_factory.mktemp("deployment") / "run"
    small = [
        "--population",
        "4",
        "--preset",
        "paper",
        "--parents",
        "2",
        "--mutation",
        "0.2",
        "--threshold",
        "60",
        "--generations",
        "2",
    ]
    assert (
        main.run(["search", str(place), "--model", str(tiny_directory), "--data", f"npz:{tiny_data}", *small])
        == 0
    )
    return place


def test_each_format_has_a_script():
    assert HEADINGS.keys() == FORMATS.keys() == PACKAGES.keys()


@pytest.mark.parametrize("name", HEADINGS)
def test_the_script_answers_as_the_pruned_network(run, masked_classes, tmp_path, tiny_images, name):
    pytest.importorskip(PACKAGES[name])
    result = export_run(run, tmp_path / "pruned", format=name)
    assert result.differing_predictions == 0
    assert {path.name for path in (tmp_path / "pruned").iterdir()} == result.files.keys()
    np.save(tmp_path / "images.npy", tiny_images[0])
    script = SCRIPTS[HEADINGS[name]] + ("" if name == "native" else STRANGERS)
    # With our packages out of reach, and -I, so that neither the folder nor PYTHONPATH helps.
    command = [sys.executable, *([] if name == "native" else ["-I"]), "-c", script]
    environment = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "HOME": str(tmp_path)}
    environment["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(masked_classes)


@pytest.fixture(scope="module")
def masked_classes(run, tiny_images):
    """What BEST's mask makes of the original network."""
    from experiments.runs.saved import SavedRun

    saved = SavedRun.open(run)
    original = saved.problem.model
    keeps = saved.problem.genome.layout.split(saved.newest.state.best.individual.mask)
    found = logits(original.network, original.normalisation(jnp.asarray(tiny_images[0])), keeps)
    return [original.classes[index] for index in np.asarray(found).argmax(axis=1)]


def test_formats_that_cannot_be_written_are_refused_before_anything(capsys, monkeypatch, run, tmp_path):
    capsys.readouterr()
    assert main.run(["export", str(run), str(tmp_path / "pruned"), "--format", "tflite"]) == 2
    assert "--format" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'evoprune\[onnx\]'"):
        export_run(run, tmp_path / "pruned", format="onnx")
    assert list(tmp_path.iterdir()) == []
