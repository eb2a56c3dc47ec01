import json

import pytest

from engine.run import checkpoint
from engine.stores import local
from experiments.report.markdown_page import report_page
from experiments.report.results.table import Measured, result_data, result_table
from experiments.report.run import FOLDER

# The numbers of the thesis's Table 4.1.
BASE = Measured(8687, 10_000, 15_245_130, 313_725_952)
PRUNED = Measured(8524, 10_000, 9_326_336, 252_446_852)


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_of_the_thesis():
    assert result_table(BASE, PRUNED, split="test").splitlines() == [
        "|                   |        base |      pruned |        drop |",
        "|:------------------|------------:|------------:|------------:|",
        "| test accuracy (%) |       86.87 |       85.24 |  1.88% drop |",
        "| parameters        |  15,245,130 |   9,326,336 | 38.82% drop |",
        "| MACs              | 313,725,952 | 252,446,852 | 19.53% drop |",
    ]


def test_better_networks_have_negative_drops():
    table = cells(result_table(Measured(800, 1000, 100, 10), Measured(840, 1000, 100, 10), split="test"))
    assert table[2] == ["test accuracy (%)", "80.00", "84.00", "-5.00% drop"]
    assert table[3] == ["parameters", "100", "100", "0.00% drop"]


def test_rounded_zero_has_no_minus():
    table = cells(result_table(Measured(90_000, 100_000, 1, 1), Measured(90_001, 100_000, 1, 1), split="x"))
    assert table[2][3] == "0.00% drop"


def test_without_a_held_out_split():
    base, pruned = Measured(None, None, 100, 1000), Measured(None, None, 75, 900)
    table = cells(result_table(base, pruned, split="test"))
    assert table[2] == ["test accuracy (%)", "not measured", "not measured", "not measured"]
    assert table[3] == ["parameters", "100", "75", "25.00% drop"]
    assert table[4] == ["MACs", "1,000", "900", "10.00% drop"]
    data = result_data(base, pruned, split="test")
    assert data["images"] is None
    assert data["accuracy_percent"] == {"base": None, "pruned": None, "drop_percent": None}


def test_one_side_measured():
    table = cells(result_table(Measured(9, 10, 4, 4), Measured(None, None, 1, 1), split="test"))
    assert table[2][1:] == ["90.00", "not measured", "not measured"]


def test_a_base_without_a_correct_answer_has_no_relative_drop():
    table = cells(result_table(Measured(0, 10, 4, 4), Measured(1, 10, 4, 4), split="test"))
    assert table[2][1:] == ["0.00", "10.00", "undefined"]


def test_split_name_cannot_break_the_table():
    table = result_table(BASE, PRUNED, split="a|b\nc")
    assert table.splitlines()[2].startswith(r"| a\|b c accuracy (%) |")


def test_data_is_json_with_unrounded_drops():
    data = json.loads(json.dumps(result_data(BASE, PRUNED, split="test")))
    assert data["split"] == "test"
    assert data["images"] == 10_000
    assert data["correct"]["base"] == 8687
    assert data["accuracy_percent"]["pruned"] == pytest.approx(85.24)
    assert data["accuracy_percent"]["drop_percent"] == pytest.approx(100 * 1.63 / 86.87)
    assert data["parameters"]["drop_percent"] == pytest.approx(38.8242, abs=1e-4)
    assert data["macs"] == {
        "base": 313_725_952,
        "pruned": 252_446_852,
        "drop_percent": pytest.approx(19.5327, abs=1e-4),
    }


def test_different_image_counts_are_not_compared():
    with pytest.raises(ValueError, match="same images"):
        result_table(BASE, Measured(8, 10, 1, 1), split="test")


@pytest.mark.parametrize(
    "values", [(1, None, 1, 1), (None, 1, 1, 1), (2, 1, 1, 1), (-1, 1, 1, 1), (0, 0, 1, 1), (1, 1, 0, 1)]
)
def test_impossible_counts(values):
    with pytest.raises(ValueError, match="must"):
        Measured(*values)


def report(**changes):
    options = {
        "title": "Run of VGG-16",
        "table": result_table(BASE, PRUNED, split="test"),
        "details": {"generations": "100", "threshold": "2%"},
        "figures": {"Accuracy drop of BEST": "accuracy_drop.png"},
    }
    return report_page(**{**options, **changes})


def test_report_text():
    assert report() == (
        "# Run of VGG-16\n\n" + result_table(BASE, PRUNED, split="test") + "\n\n"
        "## Settings\n\n"
        "| setting     | value   |\n"
        "|:------------|:--------|\n"
        "| generations | 100     |\n"
        "| threshold   | 2%      |\n\n"
        "## Figures\n\n"
        "![Accuracy drop of BEST](accuracy_drop.png)\n\n"
        "*Accuracy drop of BEST*\n"
    )


def test_report_without_details_or_figures_has_no_empty_sections():
    text = report(details={}, figures={})
    assert "##" not in text


def test_markdown_in_values_is_kept_from_breaking_the_page():
    text = report(
        title="two\nlines",
        details={"a|b": "x\ny|z"},
        figures={"kept [share] *": "figures/kept filters.png"},
    )
    assert text.startswith("# two lines\n")
    assert r"| a\|b      | x y\|z  |" in text
    assert r"![kept \[share\] *](figures/kept%20filters.png)" in text
    assert r"*kept [share] \**" in text


@pytest.mark.parametrize("name", ["", "/a.png", "../a.png", "b/../../a.png", "C:a.png", "b\\a.png", "http://a"])
def test_figures_outside_the_folder_are_refused(name):
    with pytest.raises(ValueError, match="relative file name"):
        report(figures={"caption": name})


def test_the_folders_of_a_run_are_cleared_of_what_was_half_written():
    """The store cannot ask those who write into them, which know of it."""
    assert set(local.FOLDERS) == {checkpoint.FOLDER, FOLDER}
