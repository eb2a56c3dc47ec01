"""``export.json`` beside an exported network: how to feed images to it without this software."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from models.model_directory import Model

DESCRIPTION = "export.json"
INPUT, OUTPUT = "images", "logits"
ONNX_FILE = "model.onnx"


def describe(model: Model, format_name: str, file: str, **more: Any) -> bytes:
    """The file's content; the images are NHWC unless ``more`` has another ``layout``."""
    height, width, channels = model.network.architecture.input_shape
    layout = more.pop("layout", "NHWC")
    input_name, output_name = more.pop("names", (INPUT, OUTPUT))
    sizes = {"N": "batch", "H": height, "W": width, "C": channels}
    description = {
        "format": format_name,
        "file": file,
        "input": {
            "name": input_name,
            "dtype": "float32",
            "layout": layout,
            "shape": [sizes[letter] for letter in layout],
            "normalisation": "(pixel / 255 - mean) / std, channels in the order of RGB where there are three",
            **model.normalisation.to_json(),
        },
        "output": {"name": output_name, "dtype": "float32", "shape": ["batch", len(model.classes)]},
        "classes": list(model.classes),
        **more,
        **model.notes,
    }
    return (json.dumps(description, indent=2) + "\n").encode()


def read(directory: Path) -> dict[str, Any]:
    """Inverse of :func:`describe`."""
    return json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))


def normalised(description: dict[str, Any], images: np.ndarray) -> np.ndarray:
    """``uint8[b, height, width, channels]``, normalised and laid out as the description states."""
    mean, std = (np.float32(description["input"][key]) for key in ("mean", "std"))
    inputs = (images.astype(np.float32) / np.float32(255) - mean) / std
    return inputs.transpose(0, 3, 1, 2) if description["input"]["layout"] == "NCHW" else inputs
