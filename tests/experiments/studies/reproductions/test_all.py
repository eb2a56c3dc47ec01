"""``reproduce all``: each experiment in its own folder, and what the quick form says of the full one."""

import json

import pytest

from engine.errors import OptionError
from experiments.cli import main
from experiments.progress import Silent
from experiments.studies import reproductions
from experiments.studies.reproductions import EXPERIMENTS, run_reproduction


@pytest.fixture
def begun(monkeypatch):
    """The folders that experiments are given; they write nothing."""

    class Fake:
        QUICK, FULL = "quick", "full"

        def __init__(self, module):
            self.module = module

        def run(self, out, *, plan, data_dir, reporter):
            folders.append((self.module.rpartition(".")[2], out, plan))
            return {"page": str(out / "page.md")}

    folders = []
    monkeypatch.setattr(reproductions, "import_module", Fake)
    return folders


def test_each_experiment_has_a_folder(begun, tmp_path, capsys):
    assert main.run(["reproduce", "all", str(tmp_path), "--quick", "--json"]) == 0
    assert begun == [(one.module, tmp_path / name, "quick") for name, one in EXPERIMENTS.items()]
    pages = json.loads(capsys.readouterr().out)
    assert {name: one["page"] for name, one in pages.items()} == {
        name: str(tmp_path / name / "page.md") for name in EXPERIMENTS
    }
    assert main.run(["reproduce", "all", str(tmp_path), "--quick"]) == 0
    said = capsys.readouterr().out
    assert all(f"{name}/page.md" in said and one.time in said for name, one in EXPERIMENTS.items())


def test_an_option_that_one_experiment_has_is_refused_before_any_begins(begun, tmp_path):
    with pytest.raises(OptionError, match="not all experiments have --images"):
        run_reproduction("all", tmp_path, reporter=Silent(), options={"images": 3})
    assert begun == []
