"""Which images are taken, and options that do not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from experiments.data.datasets import available_splits, load
from tests.support.data_files import pictures, png, refused, write_parquet


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 30), seed=st.integers(0, 2**40))
def test_subset(scratch, count, seed):
    path = scratch / "subset.npz"
    # Every image shows its own row.
    np.savez(path, images=np.arange(30, dtype=np.uint8)[:, None, None], labels=np.arange(30))
    found = load(f"npz:{path}", "train", images=count, seed=seed)
    rows = found.labels
    assert len(found) == count
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(found.images.ravel(), rows)
    assert found.digest() == load(f"npz:{path}", "train", images=count, seed=seed).digest()
    # The classes are those of the data, not those that happen to be picked.
    assert len(found.classes) == 30


def test_subset_follows_the_seed_and_is_the_same_for_every_source(tmp_path):
    pixels = pictures(50)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.arange(50))
    write_parquet(tmp_path / "a.parquet", pixels, list(range(50)))
    sets = [load(f"npz:{tmp_path / 'a.npz'}", "train", images=20, seed=seed) for seed in range(3)]
    assert len({found.digest() for found in sets}) == 3
    other = load(f"parquet:{tmp_path / 'a.parquet'}", "train", images=20, seed=1)
    assert other.digest() == sets[1].digest()


def test_only_the_chosen_images_are_decoded(tmp_path):
    pixels = [png(p) for p in pictures(10)]
    chosen = load(f"parquet:{write_parquet(tmp_path / 'a.parquet', pixels, list(range(10)))}", "train", images=4)
    broken = [cell if row in chosen.labels else b"broken" for row, cell in enumerate(pixels)]
    write_parquet(tmp_path / "b.parquet", broken, list(range(10)))
    found = load(f"parquet:{tmp_path / 'b.parquet'}", "train", images=4)
    assert found.digest() == chosen.digest()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"images": 361, "split": "test"}, ["`images` 361", "360"]),
        ({"images": 0}, ["`images` is 0"]),
        ({"images": -1}, ["`images` is -1"]),
        ({"image_size": 0}, ["`image_size` is 0"]),
        ({"seed": -1}, ["`seed` is -1"]),
        ({"split": "validation"}, ["`split` validation", "train, test"]),
        ({"data": "cifar"}, ["`data` cifar", "did you mean cifar10", "parquet:PATH", "digits"]),
        ({"data": "parqet:x"}, ["did you mean parquet?"]),
        ({"data": "xyzzy"}, ["is not known; choose from"]),
        ({"data": ""}, ["is not known"]),
        ({"data": "digits:x"}, ["is not known"]),
        ({"data": "npz:"}, ["has no path", "npz:PATH"]),
        ({"data": "cifar10", "split": "extra"}, ["`split` extra", "train, test"]),
    ],
)
def test_options_that_do_not_fit(options, parts):
    refused(*parts, **{"data": "digits", **options})


def test_missing_paths(tmp_path):
    gone = tmp_path / "gone"
    for kind in ("parquet", "imagefolder", "npz"):
        refused(f"`data` {kind}:{gone}", "cannot be opened", data=f"{kind}:{gone}")
    refused("`data` npz:", "cannot be opened", data="npz:a\0b")
    refused(f"`data_dir` {gone}", "cannot be opened", data="cifar10", data_dir=gone)
    refused("`data_dir`", "holds no parquet files", "called svhn", data="svhn", data_dir=tmp_path)
    refused("holds no parquet files", data=f"parquet:{tmp_path}")
    with pytest.raises(DataError, match="cannot be opened"):
        available_splits("cifar10", data_dir=gone)
