"""Geometry of the picture of a network: a bar for each layer, as wide as its filters, before and after."""

from collections.abc import Sequence
from typing import Any

from experiments.report.html.rendering import count

# Units of the picture; a telephone shows about 370 of them across, and letters are 13 high.
_PANEL = 150
_GAP = 14
_ROW = 20
_BAR = 16
_LETTER = 7.4
_LONGEST = 18
"""Letters of a name that fit."""
_TOP = 44


def network_picture(layers: Sequence[dict[str, Any]], input_shape: Sequence[int], classes: int) -> dict[str, Any]:
    """Positions of all bars and texts; ``layers`` hold ``name``, ``filters``, ``kept`` and ``searched``."""
    names = [_shortened(layer["name"]) for layer in layers]
    left = _LETTER * max(map(len, names)) + 10
    counts = [_count(layer) for layer in layers]
    before, after = left + _PANEL / 2, left + _PANEL * 1.5 + _GAP
    widest = max(layer["filters"] for layer in layers)
    right = after + _PANEL / 2 + 8
    rows = []
    for number, (layer, name, text) in enumerate(zip(layers, names, counts, strict=True)):
        full, kept = (max(1.0, _PANEL * layer[key] / widest) for key in ("filters", "kept"))
        top = _TOP + number * _ROW
        rows.append(
            {
                "name": name,
                "count": text,
                "y": top,
                "text_y": top + 13,
                "before_x": round(before - full / 2, 2),
                "before_width": round(full, 2),
                "gone_x": round(after - full / 2, 2),
                "after_x": round(after - kept / 2, 2),
                "after_width": round(kept, 2),
            }
        )
    filters, left_over = (sum(layer[key] for layer in layers) for key in ("filters", "kept"))
    bottom = _TOP + len(layers) * _ROW
    middle, shape = (before + after) / 2, " x ".join(map(str, input_shape))
    fixed = [layer["name"] for layer in layers if not layer["searched"]]
    return {
        "width": round(right + _LETTER * max(map(len, counts)) + 4),
        "height": bottom + 22,
        "bar": _BAR,
        "names": round(left - 8, 2),
        "counts": round(right, 2),
        "heads": [
            {"x": before, "text": f"before: {count(filters)} filters"},
            {"x": after, "text": f"after: {count(left_over)}"},
        ],
        "ends": [
            {"x": middle, "y": 36, "text": f"images {shape}"},
            {"x": middle, "y": bottom + 16, "text": f"{count(classes)} classes"},
        ],
        "rows": rows,
        "caption": f"The search leaves {', '.join(fixed)} as they are." if fixed else "",
        "alt": f"{count(left_over)} of {count(filters)} filters and neurons are kept. "
        + "; ".join(f"{layer['name']}: {layer['kept']} of {layer['filters']}" for layer in layers)
        + ".",
    }


def _count(layer: dict[str, Any]) -> str:
    return f"{layer['kept']}/{layer['filters']}" if layer["searched"] else f"{layer['filters']}"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]
