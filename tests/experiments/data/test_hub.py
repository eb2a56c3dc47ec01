"""Data sets by name, from the hub."""

import datasets as hf
import numpy as np

from experiments.data import datasets as data
from experiments.data.datasets import available_splits, load
from tests.support.data_files import pictures, png, refused


def test_hub_that_cannot_be_reached(monkeypatch):
    def unreachable(*args, **options):
        raise ConnectionError("Couldn't reach the hub.\nMore lines")

    monkeypatch.setattr(hf, "load_dataset", unreachable)
    for name in ("cifar10", "fashion_mnist", "svhn"):
        refused(f"`data` {name}", "Couldn't reach the hub", "`data_dir` FOLDER", data=name)


def test_hub_is_asked_by_name(monkeypatch):
    asked = []
    kinds = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=["a", "b"])})
    cells = [{"bytes": png(p), "path": None} for p in pictures(2)]
    table = hf.Dataset.from_dict({"image": cells, "label": [1, 0]}, features=kinds)
    monkeypatch.setattr(hf, "load_dataset", lambda *args, **options: asked.append((args, options)) or table)
    found = load("svhn", "test")
    np.testing.assert_array_equal(found.images, pictures(2))
    assert asked == [(("ufldl-stanford/svhn", "cropped_digits"), {"split": "test"})]


def test_known_splits_of_the_hub_need_no_network():
    assert data.NAMES == ("digits", "cifar10", "fashion_mnist", "svhn")
    assert available_splits("cifar10") == ("train", "test")
    assert available_splits("svhn") == ("train", "test", "extra")


def test_a_cache_that_cannot_be_written_is_named(monkeypatch):
    def unwritable(*args, **options):
        raise FileNotFoundError(2, "No such file or directory", "/proc/x")

    monkeypatch.setattr(hf, "load_dataset", unwritable)
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", "/proc/x")
    refused("`data` cifar10", "cache", "/proc/x", "HF_HOME", "`data_dir`", data="cifar10")
