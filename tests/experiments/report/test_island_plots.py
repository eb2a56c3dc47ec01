import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from experiments.report.figures.islands import island_scores_figure


def journal(scores):
    """Rows of ``scores[generation][island]``."""
    return [
        {"generation": generation, "islands": [{"highest_score": score} for score in row]}
        for generation, row in enumerate(scores)
    ]


def island_lines(figure):
    return [line for line in figure.axes[0].lines if line.get_label().startswith("island ")]


def numbers(figure):
    return [text for text in figure.axes[0].texts if text.get_text().isdigit()]


def dotted(figure):
    return [line.get_xdata()[0] for line in figure.axes[0].lines if line not in island_lines(figure)]


def test_a_line_for_each_island_and_a_mark_for_each_migration():
    scores = [[1.0, None], [2.0, 1.5], [2.5, 2.5], [2.5, 3.0], [4.0, 3.0]]
    figure = island_scores_figure(journal(scores), 2)
    lines = island_lines(figure)
    assert [list(line.get_xdata()) for line in lines] == [[0, 1, 2, 3, 4]] * 2
    np.testing.assert_array_equal(lines[0].get_ydata(), [1.0, 2.0, 2.5, 2.5, 4.0])
    np.testing.assert_array_equal(lines[1].get_ydata(), [np.nan, 1.5, 2.5, 3.0, 3.0])
    assert dotted(figure) == [2, 4]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "after generation 4: 3.00 to 4.00 on 2 islands; migration every 2 generations (dotted)" in texts


def test_many_migrations_are_said_and_not_drawn():
    figure = island_scores_figure(journal([[1.0, 2.0]] * 100), 1)
    assert dotted(figure) == []
    assert any(text.get_text().endswith("migration every generation") for text in figure.axes[0].texts)


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("count", [2, 7, 20])
def test_numbers_are_in_order_of_score_and_neither_clipped_nor_overlapping(count, spread):
    last = spread * np.random.default_rng(0).permutation(count) + 5
    figure = island_scores_figure(journal([[1.0] * count, last.tolist()]), 10)
    FigureCanvasAgg(figure).draw()
    found = sorted(numbers(figure), key=lambda text: -text.get_window_extent().y0)
    assert [int(text.get_text()) for text in found] == sorted(range(count), key=lambda k: (-last[k], k))
    extents = [text.get_window_extent() for text in found]
    assert all(above.y0 > below.y1 for above, below in itertools.pairwise(extents))
    assert all(e.x1 <= figure.bbox.x1 and e.y0 >= 0 and e.y1 <= figure.bbox.y1 for e in extents)


@pytest.mark.parametrize("scores", [[[None, None]], [[3.0, None]], [[-1.0] * 40, [0.5] * 40]])
def test_islands_without_scores_one_generation_and_many_islands(scores):
    figure = island_scores_figure(journal(scores), 10)
    FigureCanvasAgg(figure).draw()
    shown = [number for number, score in enumerate(scores[-1]) if score is not None]
    assert sorted(int(text.get_text()) for text in numbers(figure)) == (shown if len(shown) <= 20 else [])


def test_rows_must_exist():
    with pytest.raises(ValueError, match="no generation"):
        island_scores_figure([], 10)
