"""``export.json``: what stands beside an exported network, so that it can be fed without this software."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from models.store import Model

DESCRIPTION = "export.json"
INPUT, OUTPUT = "images", "logits"


def describe(model: Model, format_name: str, file: str, **more: Any) -> bytes:
    """The file's content. Images come as NHWC unless ``more`` says otherwise with ``layout``."""
    height, width, channels = model.network.architecture.input_shape
    layout = more.pop("layout", "NHWC")
    sizes = {"N": "batch", "H": height, "W": width, "C": channels}
    description = {
        "format": format_name,
        "file": file,
        "input": {
            "name": INPUT,
            "dtype": "float32",
            "layout": layout,
            "shape": [sizes[letter] for letter in layout],
            "normalisation": "(pixel / 255 - mean) / std, channels in the order of RGB where there are three",
            **model.normalisation.to_json(),
        },
        "output": {"name": OUTPUT, "dtype": "float32", "shape": ["batch", len(model.classes)]},
        "classes": list(model.classes),
        **more,
        **model.notes,
    }
    return (json.dumps(description, indent=2) + "\n").encode()


def read(directory: Path) -> dict[str, Any]:
    """Inverse of :func:`describe`."""
    return json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))


def normalised(description: dict[str, Any], images: np.ndarray) -> np.ndarray:
    """``uint8[b, height, width, channels]`` as the description says that the network takes them."""
    mean, std = (np.float32(description["input"][key]) for key in ("mean", "std"))
    inputs = (images.astype(np.float32) / np.float32(255) - mean) / std
    return inputs.transpose(0, 3, 1, 2) if description["input"]["layout"] == "NCHW" else inputs
