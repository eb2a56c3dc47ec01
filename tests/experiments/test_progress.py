"""What a person sees on standard error while a search is under way."""

from dataclasses import replace

from experiments.progress import Terminal
from experiments.search_run import start_search
from tests.experiments.test_search_run import SETTINGS, options_for


def lines(capsys):
    return [line for line in capsys.readouterr().err.replace("\r", "\n").split("\n") if line.strip()]


def test_generation_0_counts_masks_and_each_search_has_a_bar_of_its_own(
    tiny_directory, tiny_data, tmp_path, capsys
):
    climbing = {"settings": replace(SETTINGS, population=12), "seed_with": "magnitude", "climb": True}
    options = options_for(tiny_directory, tiny_data, generations=9, **climbing)
    terminal = Terminal()
    # Each ends before its last generation, so that nothing tells its bar to close but the next search.
    for name in ("first", "second"):
        start_search(tmp_path / name, options, evaluations=1, reporter=terminal)
        shown = lines(capsys)
        assert any("generation 0" in line and "mask" in line for line in shown)
        last = shown[-1]
        assert "0/9 [00:00" in last, last
        assert "BEST" in last
    terminal.close()
