import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from experiments.report.figures import run_figures
from experiments.report.figures.trade_off import trade_off_figure
from experiments.report.results.trade_off import TradeOff


def journal(accuracy=(0.4, 1.5, 1.2), parameters=(10.0, 20.5, 38.82), macs=(5.0, 9.0, 19.53), first=0):
    return [
        {
            "generation": first + index,
            "evaluations": 50 * (index + 1),
            "best": {
                "score": 1.0,
                "accuracy_drop": a,
                "parameter_drop": p,
                "mac_drop": m,
                "parameters": 9_326_336,
                "macs": 252_446_852,
                "correct": 4912,
                "sha256": "0" * 64,
            },
        }
        for index, (a, p, m) in enumerate(zip(accuracy, parameters, macs, strict=True))
    ]


def single(accuracy=0.0, parameters=0.0, macs=0.0, first=0):
    return journal((accuracy,), (parameters,), (macs,), first)


def best_line(figure):
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "BEST"]
    return line


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def drawn(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    buffer.seek(0)
    return np.asarray(Image.open(buffer).convert("L"))


def inside(figure, dpi=150):
    """Whether all text lies within the picture and the axes still have most of it."""
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    box = figure.bbox
    labels = [
        *axes.texts,
        axes.title,
        axes._left_title,
        axes.xaxis.label,
        axes.yaxis.label,
        *axes.get_xticklabels(),
    ]
    extents = [label.get_window_extent() for label in labels if label.get_text()]
    return all(e.x0 >= 0 and e.y0 >= 0 and e.x1 <= box.x1 and e.y1 <= box.y1 for e in extents)


DRAW = {
    "accuracy_drop": lambda rows, result=None: run_figures.accuracy_drop_figure(rows, 2.0, result),
    "parameter_drop": run_figures.parameter_drop_figure,
    "mac_drop": run_figures.mac_drop_figure,
}


@pytest.mark.parametrize("key", DRAW)
@pytest.mark.parametrize("rows", [journal(), journal(first=7), single(-0.3, 1, 2)], ids=["3", "from 7", "1"])
def test_line_holds_the_rows(key, rows):
    line = best_line(DRAW[key](rows))
    assert list(line.get_xdata()) == [row["generation"] for row in rows]
    assert list(line.get_ydata()) == [row["best"][key] for row in rows]
    assert line.get_drawstyle() == "steps-post"


@pytest.mark.parametrize(
    ("key", "label", "final"),
    [
        ("accuracy_drop", "accuracy drop (%)", "1.20%"),
        ("parameter_drop", "parameters dropped (%)", "38.82%"),
        ("mac_drop", "MACs dropped (%)", "19.53%"),
    ],
)
def test_labels_and_final_value(key, label, final):
    figure = DRAW[key](journal())
    axes = figure.axes[0]
    assert axes.get_ylabel() == label
    assert axes.get_xlabel() == "generation"
    assert axes.get_title(loc="left")
    assert final in texts(figure)
    assert inside(figure)


def test_subtitles_name_what_is_left():
    assert "BEST after generation 2: 9,326,336 parameters left" in texts(
        run_figures.parameter_drop_figure(journal())
    )
    assert "BEST after generation 2: 252,446,852 MACs left" in texts(run_figures.mac_drop_figure(journal()))
    assert "BEST after generation 2: 4,912 fitness images correct" in texts(
        run_figures.accuracy_drop_figure(journal(), 2.0)
    )


@pytest.mark.parametrize("key", DRAW)
@pytest.mark.parametrize("result", [60.0, 30.0, 1.0, -0.5])
def test_result_is_marked_at_the_end_and_in_view(key, result):
    figure = DRAW[key](journal(), result)
    axes = figure.axes[0]
    (mark,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([2], [result])
    low, high = axes.get_ylim()
    assert low < result < high
    assert f"RESULT {result:.2f}%".replace("-", "\N{MINUS SIGN}") in texts(figure)
    assert inside(figure)
    named, other = sorted(axes.texts[:2], key=lambda text: "RESULT" not in text.get_text())
    assert not named.get_window_extent().overlaps(other.get_window_extent())


def test_threshold_is_dashed_labelled_and_in_view():
    axes = run_figures.accuracy_drop_figure(journal(), 2.5).axes[0]
    (line,) = [line for line in axes.lines if line.get_label().startswith("threshold")]
    assert list(line.get_ydata()) == [2.5, 2.5]
    assert line.is_dashed()
    assert not best_line(axes.figure).is_dashed()
    low, high = axes.get_ylim()
    assert low < 0 < 2.5 < high
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["threshold (2.5%)", "BEST"][::-1]


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_threshold_must_be_finite(threshold):
    with pytest.raises(ValueError, match="threshold"):
        run_figures.accuracy_drop_figure(journal(), threshold)


def test_negative_accuracy_drop_is_in_view_with_a_line_at_zero():
    figure = run_figures.accuracy_drop_figure(journal(accuracy=(0.5, -0.25, -1.5)), 2.0)
    axes = figure.axes[0]
    assert axes.get_ylim()[0] < -1.5
    assert any(list(line.get_ydata()) == [0, 0] for line in axes.lines)
    assert "\N{MINUS SIGN}1.50%" in texts(figure)


def test_rounded_zero_has_no_minus():
    assert "0.00%" in texts(run_figures.accuracy_drop_figure(single(-0.001), 2.0))


@pytest.mark.parametrize("key", DRAW)
@pytest.mark.parametrize(
    "rows", [single(), journal((0, 0), (0, 0), (0, 0)), single(-1, -1, -1)], ids=["1", "0", "neg"]
)
def test_flat_series_have_sensible_limits(key, rows):
    figure = DRAW[key](rows)
    axes = figure.axes[0]
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert 0.1 < high - low < 10
    value = rows[-1]["best"][key]
    assert axes.get_ylim()[0] <= value < axes.get_ylim()[1]
    assert drawn(figure).min() < 128
    assert inside(figure)


def test_flat_zero_on_a_zero_threshold():
    low, high = run_figures.accuracy_drop_figure(journal(accuracy=(0, 0, 0)), 0.0).axes[0].get_ylim()
    assert low < 0 < high


@pytest.mark.parametrize("count", [1, 2, 3, 100, 3000])
def test_generation_ticks_are_integers(count):
    values = np.linspace(1, 2, count)
    figure = run_figures.parameter_drop_figure(journal(values, values, values, first=5))
    axes = figure.axes[0]
    ticks = axes.get_xticks()
    assert all(tick == int(tick) for tick in ticks)
    assert len(ticks) <= 12
    FigureCanvasAgg(figure).draw()
    assert all("." not in label.get_text() for label in axes.get_xticklabels())


@pytest.mark.parametrize("key", DRAW)
def test_rows_must_exist_and_be_finite(key):
    with pytest.raises(ValueError, match="no generation"):
        DRAW[key]([])
    nan = float("nan")
    with pytest.raises(ValueError, match="generation 4 has no finite"):
        DRAW[key](single(nan, nan, nan, first=4))


def bars(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


VGG19 = [
    (f"conv{block}_{index}", width // 3 + 7 * index, width)
    for block, (width, count) in enumerate([(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)], 1)
    for index in range(1, count + 1)
] + [("fc1", 512, 512), ("fc2", 300, 512)]


def test_kept_bars():
    layers = [("conv1", 16, 64), ("conv2", 128, 128), ("fc1", 1, 512)]
    figure = run_figures.kept_filters_figure(layers)
    rectangles = bars(figure)
    assert [bar.get_height() for bar in rectangles] == [64, 128, 512, 16, 128, 1]
    outline, solid = rectangles[0], rectangles[3]
    assert outline.get_facecolor()[:3] == (1, 1, 1)
    assert sum(solid.get_facecolor()[:3]) < 1.5
    assert outline.get_x() == solid.get_x()
    axes = figure.axes[0]
    assert axes.patches.index(outline) < axes.patches.index(solid)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv1", "conv2", "fc1"]
    assert [text for text in texts(figure) if len(text) < 6] == ["25%", "100%", "<1%"]
    assert "145 of 704 filters kept (21%)" in texts(figure)
    assert axes.get_ylabel() == "filters (count)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["kept", "original"]


def test_share_is_whole_only_when_it_is():
    assert [run_figures._share(*pair) for pair in ((511, 512), (512, 512), (0, 512), (1, 512))] == [
        ">99%",
        "100%",
        "0%",
        "<1%",
    ]


@pytest.mark.parametrize(
    "layers",
    [
        VGG19,
        VGG19[:1],
        [(f"layer{index}.convolution", 30, 64) for index in range(18)],
        [(f"s{index}", index, 64) for index in range(60)],
    ],
    ids=["vgg19", "one", "long names", "many"],
)
def test_names_and_shares_are_neither_clipped_nor_overlapping(layers):
    figure = run_figures.kept_filters_figure(layers)
    assert inside(figure)
    axes = figure.axes[0]
    assert len(axes.get_xticklabels()) == len(layers)
    shares = [text.get_window_extent() for text in axes.texts if len(text.get_text()) < 6]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(shares))
    names = axes.get_xticklabels()
    if all(name.get_rotation() == 0 for name in names):
        extents = [name.get_window_extent() for name in names]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(extents))


def test_vgg_names_are_level():
    names = run_figures.kept_filters_figure(VGG19).axes[0].get_xticklabels()
    assert {name.get_rotation() for name in names} == {0}


@pytest.mark.parametrize("layers", [[], [("conv1", 9, 8)], [("conv1", -1, 8)], [("conv1", 0, 0)]])
def test_impossible_layers(layers):
    with pytest.raises(ValueError, match="layer"):
        run_figures.kept_filters_figure(layers)


def test_figures_are_png_at_150_dpi():
    figures = {
        "accuracy_drop": run_figures.accuracy_drop_figure(journal(), 2.0),
        "kept-filters": run_figures.kept_filters_figure(VGG19),
    }
    images = run_figures.render_figures(figures)
    assert images.keys() == figures.keys()
    for name, figure in figures.items():
        with Image.open(io.BytesIO(images[name])) as image:
            image.load()
            assert image.format == "PNG"
            assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            expected = [150 * inches for inches in figure.get_size_inches()]
            assert list(image.size) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("result", [None, (20.0, 5.0), (14.0, 2.0), (21.0, 5.5), (1.0, -0.5)])
def test_texts_of_a_trade_off_fit_a_figure_as_narrow_as_the_page_draws_it(result):
    drops = np.array([0.0, 10.0, 20.0])
    figure = trade_off_figure(TradeOff(drops, drops, drops / 4, 0, 0), (20.0, 5.0), 20.5, result=result)
    figure.set_size_inches(5.0, 3.5)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    marks = [text for text in axes.texts if text.get_text().startswith(("BEST", "RESULT"))]
    extents = [each.get_window_extent() for each in (axes.get_legend(), *marks)]
    for extent in extents:
        assert figure.bbox.x0 <= extent.x0
        assert extent.x1 <= figure.bbox.x1
    assert [mark.get_text() for mark in marks] == [
        "BEST 20.00%",
        *([] if result is None else [f"RESULT {result[0]:.2f}%"]),
    ]
    assert len(extents) < 3 or not extents[1].overlaps(extents[2])


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a.png", "a b"])
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="figure's name"):
        run_figures.render_figures({"good": Figure(), name: Figure()})


def test_pyplot_is_never_imported():
    code = "import sys, experiments.report.figures.run_figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
