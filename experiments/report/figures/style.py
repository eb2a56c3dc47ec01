"""The common look of all figures: colours, axes, legend and headline."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, MaxNLocator, StrMethodFormatter

from experiments.spelling import measured_as

# Okabe and Ito's palette, which colour-blind readers can tell apart. The two also differ in brightness, and
# no figure relies on colour alone: lines differ in dashes, bars in being solid or outlined.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
INK = "#222222"
GREY = "#5F5F5F"
GRID = "#E3E3E3"

BEST, RESULT, THRESHOLD = BLUE, GREEN, VERMILION
"""The colours of what every figure of a search shows."""

SMALL = 9.0
"""Font size of ticks and legend, in points."""
_SUBTITLE = "subtitle"


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure (inches) with one pair of axes in the common style."""
    # The constrained layout makes room for all labels, those outside the axes included.
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    axes = figure.add_subplot()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Give axes the common style."""
    axes.set_facecolor("white")
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=SMALL)


def percent(value: float) -> str:
    """Return a percentage with 2 decimals and, like the tick labels, a true minus sign."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value, 2) + 0.0:.2f}%".replace("-", "\N{MINUS SIGN}")


def mark(
    axes: Axes,
    name: str,
    place: tuple[float, float],
    value: float,
    marker: str,
    size: float,
    colour: str,
    *,
    left: bool = True,
    above: bool = True,
) -> None:
    """Mark a network at a place. Its name and ``value``, in percent, stand on the side that has room."""
    axes.plot(
        *([coordinate] for coordinate in place),
        linestyle="none",
        marker=marker,
        markersize=size,
        color=colour,
        markeredgecolor="white",
        zorder=4,
        clip_on=False,
    )
    axes.annotate(
        f"{name} {percent(value)}",
        place,
        xytext=(-10 if left else 10, 9 if above else -9),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom" if above else "top",
        fontsize=11,
        fontweight="bold",
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        zorder=5,
    )


def generation_axis(axes: Axes, generations: list[int]) -> None:
    """Set up the horizontal axis of a figure over the generations, which are in order."""
    first, last = generations[0], generations[-1]
    if first == last:
        axes.set_xlim(first - 0.5, first + 0.5)
        axes.xaxis.set_major_locator(FixedLocator([first]))
    else:
        axes.set_xlim(first, last)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("generation", fontsize=10, color=INK)


def legend(axes: Axes, columns: int | None = None) -> None:
    """Put the legend above the axes, where it covers no data; in one row if no number of columns is given."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],  # the line that is drawn last is the subject of the figure and is named first
        labels[::-1],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        borderpad=0.2,
        ncols=columns or len(handles),
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        # Four labels must fit above a figure as narrow as the HTML page draws it.
        handlelength=1.9,
        handletextpad=0.5,
        columnspacing=1.1,
    )


def headline(axes: Axes, title: str, subtitle: str, *, above_legend: bool) -> None:
    """Write the title and the line under it, aligned with the left edge of the axes."""
    height = 24 if above_legend else 8
    line = axes.annotate(
        subtitle,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, height),
        textcoords="offset points",
        fontsize=9.5,
        color=GREY,
        annotation_clip=False,
    )
    line.set_gid(_SUBTITLE)
    axes.set_title(title, loc="left", pad=height + 17, fontsize=13, fontweight="bold", color=INK)


def take_headline(figure: Figure) -> tuple[str, str]:
    """Remove the title and the line under it from a figure, for a page that sets them itself; both."""
    [axes] = figure.axes
    [line] = [text for text in axes.texts if text.get_gid() == _SUBTITLE]
    title, subtitle = axes.get_title(loc="left"), line.get_text()
    line.remove()
    axes.set_title("", loc="left")
    return title, subtitle


def reworded(figure: Figure, measure: str) -> None:
    """Write agreement for accuracy in all texts of a figure, where that is what was measured."""
    for text in figure.findobj(Text):
        text.set_text(measured_as(text.get_text(), measure))
