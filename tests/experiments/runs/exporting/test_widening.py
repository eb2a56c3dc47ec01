"""``export --round-to``: which filters return, and what the wider network is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError
from engine.layout import Layout
from experiments.cli import main
from experiments.measurement.measuring import evaluate_model
from experiments.runs.exporting.export import export_run
from experiments.runs.exporting.widening import widened
from experiments.runs.saved import SavedRun
from experiments.runs.search import start_search
from models import model_directory
from tests.experiments.runs.test_finish import GENERATIONS, IMAGES, SETTINGS
from tests.support.runs import options_for

LAYOUT = Layout(("first", "second", "third"), (5, 8, 21))


@given(
    st.lists(st.booleans(), min_size=34, max_size=34),
    st.lists(st.integers(-3, 3), min_size=34, max_size=34),
    st.integers(1, 9),
)
def test_the_most_important_return_and_no_more_than_needed(bits, importance, multiple):
    mask = np.array(bits)
    mask[LAYOUT.offsets] = True
    importance = np.array(importance, float)
    wider = LAYOUT.split(widened(mask, importance, LAYOUT, multiple))
    for name, keep in LAYOUT.split(mask).items():
        found, numbers = wider[name], LAYOUT.split(importance)[name]
        assert (found | ~keep).all()
        width = np.count_nonzero(found)
        assert width == len(found) or width % multiple == 0
        assert width - np.count_nonzero(keep) < multiple
        returned, gone = numbers[found & ~keep], numbers[~found]
        assert not len(returned) or not len(gone) or returned.min() >= gone.max()


@pytest.fixture(scope="module", params=["BEST", "RESULT"])
def run(request, tiny_directory, tiny_data, tmp_path_factory):
    """A search; with RESULT, its finish has refitted what leaves."""
    path = tmp_path_factory.mktemp("runs") / "run"
    chosen = {"compensate": "linear", "compensation_images": 10, "settings": SETTINGS}
    finish = request.param == "RESULT"
    options = options_for(tiny_directory, tiny_data, generations=GENERATIONS, finish=finish, **chosen)
    start_search(path, replace(options, data=replace(options.data, images=IMAGES)))
    return path, request.param


def test_the_wider_network_is_exact_and_counted(run, tmp_path):
    path, name = run
    narrow, wide = (export_run(path, tmp_path / str(multiple), round_to=multiple) for multiple in (1, 3))
    saved = SavedRun.open(path)
    assert narrow.mask == wide.mask == name
    assert narrow.returned_filters == 0 < wide.returned_filters == narrow.removed_filters - wide.removed_filters
    assert wide.parameters > narrow.parameters
    assert wide.differing_predictions == 0
    assert wide.check is None
    assert evaluate_model(tmp_path / "3", saved.options.data).correct == wide.correct
    notes = [model_directory.load(tmp_path / each).notes["pruned_from"] for each in ("1", "3")]
    assert [each["round_to"] for each in notes] == [1, 3]
    assert notes[0]["refit_images"] == notes[1]["refit_images"]
    assert (wide.refit is None) == (notes[0]["refit_images"] is None)
    if wide.refit is not None:
        assert wide.refit["fitness"]["correct"] == wide.correct


def test_a_width_that_is_allowed_stays(run, tmp_path):
    exports = [export_run(run[0], tmp_path / str(number), round_to=number) for number in (1, 100)]
    assert exports[1].removed_filters == 0
    with pytest.raises(OptionError, match="`round_to` must be 1 or more, not 0"):
        export_run(run[0], tmp_path / "other", round_to=0)
    assert not (tmp_path / "other").exists()


def test_the_command_says_what_returned(run, tmp_path, capsys):
    assert main.run(["export", str(run[0]), str(tmp_path / "wide"), "--round-to", "3"]) == 0
    told = capsys.readouterr()
    assert "filters that return for widths in multiples of 3: " in told.err
    assert "as the masked network" in told.out
    assert main.run(["export", str(run[0]), str(tmp_path / "no"), "--round-to", "0"]) == 2
    assert "--round-to must be 1 or more, not 0" in capsys.readouterr().err
