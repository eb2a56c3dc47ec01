"""Small data sets as files, and the refusal of those that cannot be read."""

import io

import datasets as hf
import numpy as np
import PIL.Image
import pytest

from engine.errors import DataError
from experiments.data.datasets import load


def pictures(count, shape=(6, 5, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def png(pixels, kind="PNG"):
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def write_parquet(
    path, pixels, labels, names=None, *, image="image", label="label", label_type="int64", extra=None
):
    """A parquet file as the hub has them; ``pixels`` may also hold encoded bytes or ``None``."""
    cells = [
        None if p is None else {"bytes": p if isinstance(p, bytes) else png(p), "path": None} for p in pixels
    ]
    columns = {image: cells, label: labels, **(extra or {})}
    kinds = {image: hf.Image(), label: hf.ClassLabel(names=names) if names else hf.Value(label_type)}
    kinds |= {key: hf.Value("int64") for key in extra or {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    hf.Dataset.from_dict(columns, features=hf.Features(kinds)).to_parquet(path)
    return path


def refused(*parts, **options):
    """The message of the error that ``load`` raises: one sentence, with every one of ``parts`` in it."""
    options.setdefault("split", "train")
    with pytest.raises(DataError) as caught:
        load(**options)
    message = str(caught.value)
    for part in parts:
        assert part in message
    assert message.startswith("`")
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message
    return message


def write_folder(root, tree):
    for name, pixels in tree.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(file)
