"""The picture of the README."""

from pathlib import Path

from experiments.studies.quality.trade_off import read_cells, trade_off_figure

STUDY = Path(__file__).parents[3] / "docs" / "quality-vgg16"


def cell(method, threshold, parameter_drop, accuracy_drop):
    return {
        "method": method,
        "threshold": threshold,
        "best": {"parameter_drop": parameter_drop},
        "whole": {"test": {"accuracy_drop": accuracy_drop}},
    }


def test_each_search_is_a_mark_and_a_line_connects_the_medians():
    cells = [cell("masks", 2.0, 60.0, 2.0), cell("masks", 2.0, 62.0, 3.0), cell("masks", 1.0, 50.0, 1.0)]
    [axes] = trade_off_figure([*cells, cell("ranking", 2.0, 10.0, 1.0)]).axes
    line, marks, thesis = axes.get_lines()
    assert line.get_xydata().tolist() == [[50.0, 1.0], [61.0, 2.5]]
    assert marks.get_xydata().tolist() == [[60.0, 2.0], [62.0, 3.0], [50.0, 1.0]]
    assert thesis.get_xydata().tolist() == [[38.82, 1.87]]


def test_the_searches_of_the_documentation_are_in_view():
    cells = read_cells(STUDY)
    assert {cell["method"] for cell in cells} == {"quality", "masks", "paper"}
    [axes] = trade_off_figure(cells).axes
    low, high = axes.get_ylim()
    assert all(low <= drop <= high for line in axes.get_lines() for drop in line.get_ydata())
