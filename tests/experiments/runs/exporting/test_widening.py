"""``export --round-to``: filler filters, which change no answer."""

from dataclasses import replace

import pytest

from engine.errors import OptionError
from experiments.cli import main
from experiments.measurement.measuring import evaluate_model
from experiments.runs.exporting import export
from experiments.runs.exporting.export import export_run
from experiments.runs.saved import SavedRun
from experiments.runs.search import start_search
from models import model_directory
from tests.experiments.runs.test_finish import GENERATIONS, IMAGES, SETTINGS
from tests.support.runs import options_for


@pytest.fixture(scope="module", params=["BEST", "RESULT"])
def run(request, tiny_directory, tiny_data, tmp_path_factory):
    """A search and the name of the mask that leaves; a RESULT is refitted."""
    path = tmp_path_factory.mktemp("runs") / "run"
    chosen = {"compensate": "linear", "compensation_images": 10, "settings": SETTINGS}
    finish = request.param == "RESULT"
    options = options_for(tiny_directory, tiny_data, generations=GENERATIONS, finish=finish, **chosen)
    start_search(path, replace(options, data=replace(options.data, images=IMAGES)))
    return path, request.param


def test_the_wider_network_is_the_same_mask_with_the_same_answers(run, tiny_model, tmp_path):
    path, name = run
    narrow, wide = (export_run(path, tmp_path / str(multiple), round_to=multiple) for multiple in (1, 3))
    assert narrow.mask == wide.mask == name
    assert narrow.filler_filters == 0 < wide.filler_filters
    assert (wide.sha256, wide.removed_filters) == (narrow.sha256, narrow.removed_filters)
    assert (wide.correct, wide.check) == (narrow.correct, narrow.check)
    assert wide.differing_predictions == 0
    assert narrow.parameters < wide.parameters
    data = SavedRun.open(path).options.data
    assert evaluate_model(tmp_path / "3", data).correct == wide.correct
    whole = {group.name: group.size for group in tiny_model.network.filter_groups}
    network = model_directory.load(tmp_path / "3").network
    assert all(group.size % 3 == 0 or group.size == whole[group.name] for group in network.filter_groups)


def test_the_command_says_what_it_added(run, tmp_path, capsys):
    command = ["export", str(run[0])]
    assert main.run([*command, str(tmp_path / "wide"), "--round-to", "3"]) == 0
    assert "filler filters that make widths multiples of 3 (--round-to): " in capsys.readouterr().err
    assert main.run([*command, str(tmp_path / "no"), "--round-to", "0"]) == 2
    assert "--round-to must be 1 or more, not 0" in capsys.readouterr().err
    with pytest.raises(OptionError, match="`round_to`"):
        export_run(run[0], tmp_path / "no", round_to=-1)
    assert not (tmp_path / "no").exists()


def test_an_onnx_file_has_widths_that_its_runtime_computes_fast(run, tiny_model, tmp_path, monkeypatch):
    """With blocks of 3: the tiny network has no layer that could get more than 8 filters."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(export, "BLOCK", 3)
    exact = export_run(run[0], tmp_path / "exact", format="onnx", round_to=1)
    usual = export_run(run[0], tmp_path / "usual", format="onnx")
    assert exact.filler_filters == 0 < usual.filler_filters
    assert exact.differing_predictions == usual.differing_predictions == 0
    graph = onnx.load(tmp_path / "usual" / "model.onnx").graph
    found = [array.dims[0] for array in graph.initializer if len(array.dims) == 4]
    whole = [group.size for group in tiny_model.network.filter_groups]
    assert found
    assert all(size % 3 == 0 or size == most for size, most in zip(found, whole, strict=False))
