"""One finished run with its report, and two runs on one page, made once for all tests of this folder."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from engine.search.settings import SearchSettings
from experiments.data.options import DataOptions
from experiments.report.run import make_report
from experiments.runs.options import SearchOptions
from experiments.runs.search import start_search
from models import model_directory

SETTINGS = SearchSettings(population=8, parents=4, mutation=0.05, population_cap=12, initial_removal=0.1, seed=5)


class Reported(NamedTuple):
    """The directory of a run, what :func:`make_report` returned, and the text of the HTML page."""

    run: object
    report: dict
    text: str


def options_for(directory, data, **changes):
    chosen = {"generations": 5, "threshold": 20.0, "settings": SETTINGS, **changes}
    return SearchOptions(str(directory), DataOptions(f"npz:{data}", seed=5), **chosen)


@pytest.fixture(scope="session")
def reported(tmp_path_factory, tiny_directory, tiny_data):
    run = tmp_path_factory.mktemp("runs") / "run"
    start_search(run, options_for(tiny_directory, tiny_data))
    report = make_report(run)
    return Reported(run, report, (run / "report" / "report.html").read_text())


@pytest.fixture(scope="session")
def runs(tmp_path_factory, tiny_model, tiny_data):
    """Two runs with a model of their own; the second has another mutation rate and fewer images."""
    place = tmp_path_factory.mktemp("compared")
    model_directory.save(place / "model", tiny_model)
    for name, mutation, images in (("a", 0.05, None), ("b", 0.1, 30)):
        data = DataOptions(f"npz:{tiny_data}", images=images)
        settings = replace(SETTINGS, mutation=mutation)
        options = SearchOptions(str(place / "model"), data, 4, threshold=20.0, settings=settings)
        start_search(place / name, options)
    return place
