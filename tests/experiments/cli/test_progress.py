"""What a person sees on standard error while work is under way."""

import io
from dataclasses import replace

import pytest

from engine.search.individual import ScoreFitness
from experiments.progress import Silent, Terminal
from experiments.runs.saved import SavedRun
from experiments.runs.search import start_search
from models.training.loop import Progress
from tests.support.runs import SETTINGS, options_for


class Screen(io.StringIO):
    """Standard error of somebody who sits at a terminal of 80 columns."""

    def isatty(self):
        return True

    def states(self):
        """All texts that a line ever showed."""
        return [text for text in self.getvalue().replace("\r\x1b[K", "\n").split("\n") if text]


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("experiments.progress._EVERY_ON_A_TERMINAL", 0.0)
    return Screen()


def search(tiny_directory, tiny_data, tmp_path, terminal, **changes):
    climbing = {"settings": replace(SETTINGS, population=12), "seed_with": "magnitude", "climb": True}
    options = options_for(tiny_directory, tiny_data, generations=9, **climbing)
    return start_search(tmp_path, options, reporter=terminal, **changes)


def test_a_search_on_a_terminal_fits_80_columns(tiny_directory, tiny_data, tmp_path, screen):
    terminal = Terminal(stream=screen)
    search(tiny_directory, tiny_data, tmp_path / "run", terminal)
    states = screen.states()
    assert all(len(text) < 80 for text in states if text.startswith("generation"))
    assert any(text.startswith("generation 0, ") and text.endswith("masks evaluated") for text in states)
    seen = [text for text in states if text.startswith("generation 4/9, parameters ")]
    assert ", MACs " in seen[0]
    assert ", accuracy " in seen[0]
    assert seen[0].index("accuracy") < seen[0].index(" left")


def test_a_search_beyond_the_threshold_shows_its_best_mask(tiny_directory, tiny_data, tmp_path, screen):
    """BEST may stand still meanwhile, and remove nothing."""
    search(tiny_directory, tiny_data, tmp_path / "run", Silent())
    state = SavedRun.open(tmp_path / "run").newest.state
    (island,), fewer = state.islands, state.original_correct * 3 // 4
    leading = replace(island.population[0], fitness=ScoreFitness((98.76,)), correct=fewer)
    beyond = replace(state, islands=[replace(island, population=[*island.population, leading])], reach=30.0)
    terminal = Terminal(stream=screen)
    drop = 100 * (1 - fewer / state.original_correct)
    for shown, told in ((beyond, f"before a refit 98.76 at accuracy -{drop:.2f}%, "), (state, "parameters -")):
        terminal.generation(shown, 10)
        assert screen.states()[-1].startswith(f"generation 9/10, {told}")
        assert f"BEST {state.best.individual.score:.2f}" in screen.states()[-1]
        assert len(screen.states()[-1]) < 80


def test_each_search_has_a_line_of_its_own(tiny_directory, tiny_data, tmp_path, screen):
    terminal = Terminal(stream=screen)
    # Each ends before its last generation: only the next search ends its line.
    for name in ("first", "second"):
        search(tiny_directory, tiny_data, tmp_path / name, terminal, evaluations=1)
    terminal.close()
    finished = [line.split("\r\x1b[K")[-1] for line in screen.getvalue().split("\n")]
    assert len([line for line in finished if line.startswith("generation 0/9, parameters ")]) == 2


def test_training_shows_its_time_left_and_sentences_stand_above_it(screen):
    terminal = Terminal(stream=screen)
    for step in (1, 2, 3):
        terminal.training(Progress(1, 2, step, 3, 2.0, 0.5, 1234.0))
    assert screen.states()[-1].startswith("epoch 1/2, step 3/3, loss 2.000, accuracy 50.0%, 0:00 left")
    terminal.message("a sentence")
    assert screen.getvalue().endswith(
        "\r\x1b[Ka sentence\n" + screen.states()[0].replace("step 1", "step 3")
    ) or ("\r\x1b[Ka sentence\nepoch 1/2" in screen.getvalue())


def test_a_log_gets_a_line_now_and_then(capsys):
    terminal = Terminal(lambda sentence: sentence.replace("`data`", "--data"))
    terminal.message("`data` is read")
    for epoch in (1, 2, 3):
        for step in (1, 2):
            terminal.training(Progress(epoch, 3, step, 2, 2.0, 0.5, 1234.0))
    shown = capsys.readouterr().err
    assert "\r" not in shown
    assert "\x1b" not in shown
    first, begun, done = shown.splitlines()
    assert first == "--data is read"
    assert begun.startswith("epoch 1/3, step 1/2")
    assert done.startswith("epoch 3/3, step 2/2")
