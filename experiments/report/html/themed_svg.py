"""Figures as SVG with a light and a dark theme.

An image in a page has no access to the page's fonts and variables, but it has access to ``prefers-color-scheme``.
"""

import base64
import colorsys
import io
import re

import matplotlib
from matplotlib.figure import Figure

PAPER = 0.11
"""Lightness of the dark page, which white becomes."""
_COLOUR = re.compile(r"#[0-9a-f]{6}(?=[;\"\s])")


def themed_svg(figure: Figure, width: float, height: float) -> str:
    """The figure at this size (inches), its colours as variables with a light and a dark value.

    Text stays text in the reader's own font. Equal figures give equal SVG.
    """
    figure.set_size_inches(width, height)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "evoprune"}):
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    whole = buffer.getvalue()
    body = whole[whole.index("<svg") :]
    colours = sorted(set(_COLOUR.findall(body)))
    names = {colour: f"--c{number}" for number, colour in enumerate(colours)}
    themed = _COLOUR.sub(lambda found: f"var({names[found[0]]})", body)
    light = "".join(f"{name}:{colour};" for colour, name in names.items())
    dark = "".join(f"{name}:{in_the_dark(colour)};" for colour, name in names.items())
    style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    end_of_tag = themed.index(">") + 1
    return themed[:end_of_tag] + style + themed[end_of_tag:]


def data_uri(svg: str) -> str:
    """An SVG as the source of an ``img``."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def in_the_dark(colour: str) -> str:
    """The colour of equal hue (``#rrggbb``) and inverted lightness."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    turned = colorsys.hls_to_rgb(hue, max(PAPER, 1 - lightness), saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in turned)
