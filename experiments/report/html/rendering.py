"""Renders the text of a page from plain values and figures; every value is escaped."""

from dataclasses import dataclass
from typing import Any, Self

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from experiments.report.figures.style import BLUE, percent, take_headline
from experiments.report.html.themed_svg import data_uri, in_the_dark, themed_svg

# Inches. Drawn this small, letters are large enough to read on a telephone, which shows the figure at 370 pixels.
_WIDTH, _HEIGHT = 5.0, 3.5
_PIXELS = 96


@dataclass(frozen=True)
class Drawn:
    """A figure as a page shows it: ``source`` is a ``data:`` URI, ``alt`` describes the figure in words."""

    title: str
    subtitle: str
    caption: str
    alt: str
    source: str
    width: int
    height: int

    @classmethod
    def of(cls, figure: Figure, *, alt: str, caption: str = "") -> Self:
        """Draw a figure without its headline (:func:`experiments.report.figures.style.headline`)."""
        title, subtitle = take_headline(figure)
        source = data_uri(themed_svg(figure, _WIDTH, _HEIGHT))
        return cls(title, subtitle, caption, alt, source, round(_WIDTH * _PIXELS), round(_HEIGHT * _PIXELS))


def render(template: str, **values: Any) -> str:
    """A page of ``templates/``."""
    environment = Environment(
        loader=PackageLoader("experiments.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=count, percent=percent, drop=drop, change=change, figures=figures)
    environment.globals.update(blue=BLUE, blue_in_the_dark=in_the_dark(BLUE))
    return environment.get_template(template).render(**values)


def count(value: int) -> str:
    """A whole number."""
    return f"{value:,}"


def drop(value: float) -> str:
    """A drop in percent as a signed change: a decrease has a minus, an increase a plus."""
    return change(-value) + "%"


def change(value: float) -> str:
    """A signed number with 2 decimals and a true minus sign."""
    rounded = round(value, 2)
    return f"{rounded:+.2f}".replace("-", "\N{MINUS SIGN}") if rounded else "0.00"


def figures(value: float) -> str:
    """A measured number with 3 significant figures."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
