"""The figures of ``bench`` fit each other; how fast anything is, is no test."""

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from engine.errors import EvaluationError
from experiments.benchmarks.speed import speed_comparison
from experiments.benchmarks.speed.process import started
from experiments.cli import main
from models.model_directory import Model, save
from models.networks.vgg import VGGArchitecture
from models.pruning import prune


@pytest.fixture(scope="module")
def pruned_directory(tmp_path_factory, tiny_model):
    keeps = {"conv1_1": np.array([True, False, True, True]), "conv2_1": np.arange(8) < 5}
    path = tmp_path_factory.mktemp("pruned") / "pruned"
    save(path, Model(prune(tiny_model.network, keeps), tiny_model.normalisation, tiny_model.classes))
    return path


@pytest.mark.slow
def test_the_figures_fit_each_other(capsys, monkeypatch, tiny_directory, pruned_directory):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(speed_comparison, "ROUND_SECONDS", 0.001)
    arguments = ["bench", str(tiny_directory), str(pruned_directory), "--rounds", "3"]
    assert main.run([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    macs = result["pruned"]["macs"] / result["base"]["macs"]
    assert 0 < macs < 1
    assert result["mac_ratio"] == macs
    assert result["pruned"]["file_bytes"] < result["base"]["file_bytes"]
    measured = [(timing["runtime"], timing["batch"]) for timing in result["timings"]]
    runtimes = ["JAX", "ONNX Runtime", *(["PyTorch"] if find_spec("torch") else [])]
    assert measured == [(runtime, batch) for runtime in runtimes for batch in (1, 64)]
    for timing in result["timings"]:
        low, high = timing["spread"]
        assert 0 < low <= timing["time_ratio"] <= high
        assert timing["saved_share"] == pytest.approx((1 - timing["time_ratio"]) / (1 - macs))
        for name in ("base", "pruned"):
            assert timing[name]["seconds"] * timing[name]["images_per_second"] == pytest.approx(timing["batch"])
            assert timing[name]["compile_seconds"] > 0
    for runtime, found in result["runtimes"].items():
        # Zeros make this network as wide as it was.
        assert (found["file_bytes"]["pruned"] < found["file_bytes"]["base"]) == (runtime != "ONNX Runtime")
        assert min(found["peak_memory_bytes"].values()) > 0
    assert result["missing"].keys() <= {"PyTorch"}
    # Widths of 3 and 5 filters of 4 and 8 become whole.
    assert result["filler_filters"] == 1 + 3


def test_without_onnx_runtime_jax_is_timed_and_that_is_said(
    capsys, monkeypatch, tiny_directory, pruned_directory
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(speed_comparison, "ROUND_SECONDS", 0.001)
    given = [str(tiny_directory), str(pruned_directory), "--rounds", "1", "--batches", "2"]
    assert main.run(["bench", *given]) == 0
    shown = capsys.readouterr().out
    assert "ONNX Runtime: it needs the packages" in shown
    assert "pip install 'evoprune[onnx]'" in shown
    assert "without PyTorch: it is not installed" in shown
    [row] = [line for line in shown.splitlines() if line.startswith("JAX  ")]
    assert row.split()[1] == "2"


@pytest.mark.parametrize(
    ("batches", "said"),
    [("0", "`batches` must be"), ("1,x", "whole numbers"), ("1.5", "1,64"), ("1,8,1", "a number twice")],
)
def test_batches_that_cannot_be(capsys, tiny_directory, pruned_directory, batches, said):
    assert main.run(["bench", str(tiny_directory), str(pruned_directory), "--batches", batches]) == 2
    assert said.replace("`batches`", "--batches") in capsys.readouterr().err


def test_networks_for_other_images_are_refused(capsys, tmp_path, tiny_model, tiny_directory):
    other = VGGArchitecture("other", ((2,),), (), 3, (6, 6, 2)).build()
    save(tmp_path / "other", Model(other, tiny_model.normalisation, tiny_model.classes))
    assert main.run(["bench", str(tiny_directory), str(tmp_path / "other")]) == 2
    assert "takes images of (8, 8, 2)" in capsys.readouterr().err
    assert main.run(["bench", str(tiny_directory), str(tmp_path / "nothing")]) == 2
    assert "not a model directory" in capsys.readouterr().err


def test_a_process_that_fails_says_why(tmp_path):
    with (
        pytest.raises(EvaluationError, match=r"cannot be run: .*not a model directory"),
        started("JAX", tmp_path / "nothing") as subject,
    ):
        subject.compile(1)
