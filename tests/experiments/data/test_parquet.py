"""Tables of images."""

import logging

import datasets as hf
import numpy as np
import PIL.Image
import pytest

from experiments.data.datasets import available_splits, load
from tests.support.data_files import pictures, png, refused, write_parquet


@pytest.mark.parametrize(
    ("files", "given", "splits"),
    [
        (["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"], "", ("train", "test")),
        (["train-0.parquet", "test-0.parquet", "validation.parquet"], "", ("train", "test", "validation")),
        (["0000.parquet"], "", ("train",)),
        (["tests.parquet"], "", ("train",)),
        (["test-00000-of-00001.parquet"], "test-00000-of-00001.parquet", ("test",)),
        (["own_split-00000-of-00001.parquet"], "", ("own_split",)),
        (["any [1] *.parquet"], "any [1] *.parquet", ("train",)),
        ([".hidden/__x__/train.parquet"], ".hidden/__x__", ("train",)),
    ],
)
def test_parquet_layouts(tmp_path, files, given, splits):
    for number, file in enumerate(files):
        write_parquet(tmp_path / file, pictures(3, seed=number), [0, 1, 1], ["cat", "dog"])
    name = f"parquet:{tmp_path / given}"
    assert available_splits(name) == splits
    found = load(name, splits[0])
    np.testing.assert_array_equal(found.images, pictures(3))
    np.testing.assert_array_equal(found.labels, [0, 1, 1])
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int32
    assert found.images.flags.c_contiguous
    assert (found.classes, found.source, found.split) == (("cat", "dog"), name, splits[0])


def test_shards_are_read_in_order(tmp_path):
    for number in (1, 0):
        write_parquet(
            tmp_path / f"data/train-{number:05}-of-00002.parquet", pictures(2, seed=number), [number] * 2
        )
    found = load(f"parquet:{tmp_path}", "train")
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(found.images, np.concatenate([pictures(2, seed=0), pictures(2, seed=1)]))


def test_a_file_written_anew_is_read_anew(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1])
    first = load(f"parquet:{file}", "train")
    write_parquet(file, pictures(2, seed=1), [0, 1])
    np.testing.assert_array_equal(load(f"parquet:{file}", "train").images, pictures(2, seed=1))
    assert load(f"parquet:{file}", "train").digest() != first.digest()


@pytest.mark.parametrize("where", ["", "data", "cifar10", "cifar10/data", "plain_text", "cifar10/plain_text"])
def test_named_set_from_a_data_dir(tmp_path, where):
    write_parquet(tmp_path / where / "train-00000-of-00001.parquet", pictures(2), [0, 1], ["a", "b"], image="img")
    assert available_splits("cifar10", data_dir=tmp_path) == ("train",)
    found = load("cifar10", "train", data_dir=str(tmp_path))
    np.testing.assert_array_equal(found.images, pictures(2))
    assert found.source == "cifar10"


def test_named_set_from_a_file_and_from_beside_another(tmp_path):
    write_parquet(tmp_path / "train.parquet", pictures(2, seed=1), [0, 1])
    file = write_parquet(tmp_path / "svhn/data/train-0.parquet", pictures(2), [0, 1])
    for place in (tmp_path, file):
        np.testing.assert_array_equal(load("svhn", "train", data_dir=place).images, pictures(2))


def test_fashion_mnist_is_grey_and_resized_by_default(tmp_path):
    pixels = pictures(2, (28, 28))
    write_parquet(tmp_path / "test-0.parquet", pixels, [0, 1])
    found = load("fashion_mnist", "test", data_dir=tmp_path)
    expected = [
        np.asarray(PIL.Image.fromarray(p).resize((32, 32), PIL.Image.Resampling.BILINEAR)) for p in pixels
    ]
    np.testing.assert_array_equal(found.images[..., 0], expected)
    native = load("fashion_mnist", "test", data_dir=tmp_path, image_size=28)
    np.testing.assert_array_equal(native.images, pixels[..., None])


@pytest.mark.parametrize("size", [3, 9])
def test_resizing_both_ways(tmp_path, size):
    write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1])
    found = load(f"parquet:{tmp_path}", "train", image_size=size)
    picture = PIL.Image.fromarray(pictures(2)[1]).resize((size, size), PIL.Image.Resampling.BILINEAR)
    assert found.images.shape == (2, size, size, 3)
    np.testing.assert_array_equal(found.images[1], np.asarray(picture))


def test_columns_are_found_by_type(tmp_path):
    write_parquet(tmp_path / "a.parquet", pictures(2), [1, 0], ["x", "y"], image="photo", label="kind")
    found = load(f"parquet:{tmp_path / 'a.parquet'}", "train")
    np.testing.assert_array_equal(found.labels, [1, 0])
    # Fine labels are preferred to the coarse ones beside them.
    extra = {"coarse_label": [7, 7]}
    write_parquet(tmp_path / "b.parquet", pictures(2), [1, 0], ["x", "y"], label="fine_label", extra=extra)
    assert load(f"parquet:{tmp_path / 'b.parquet'}", "train").classes == ("x", "y")
    write_parquet(tmp_path / "c.parquet", pictures(2), [1, 0], label="label", extra={"id": [7, 8]})
    np.testing.assert_array_equal(load(f"parquet:{tmp_path / 'c.parquet'}", "train").labels, [1, 0])


def test_a_file_without_the_notes_of_the_library(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [{"bytes": png(p), "path": None} for p in pictures(2)]
    pq.write_table(pa.table({"image": cells, "label": pa.array([1, 0], pa.uint8())}), tmp_path / "a.parquet")
    np.testing.assert_array_equal(load(f"parquet:{tmp_path}", "train").images, pictures(2))


def test_classes_without_names_count_every_split(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", pictures(2), [0, 4])
    write_parquet(tmp_path / "test-0.parquet", pictures(2), [0, 1])
    for split in ("train", "test"):
        assert load(f"parquet:{tmp_path}", split).classes == ("0", "1", "2", "3", "4")


def test_nothing_is_printed_and_settings_are_put_back(tmp_path, capfd):
    write_parquet(tmp_path / "train-0.parquet", pictures(2), [0, 1], ["a", "b"])
    (tmp_path / "test-0.parquet").write_bytes(b"PAR1 not parquet")
    capfd.readouterr()
    levels = [logging.getLogger(name).level for name in ("datasets", "huggingface_hub")]
    load(f"parquet:{tmp_path}", "train", image_size=5)
    refused("`data` parquet:", "cannot be read", data=f"parquet:{tmp_path}", split="test")
    assert capfd.readouterr() == ("", "")
    assert [logging.getLogger(name).level for name in ("datasets", "huggingface_hub")] == levels
    assert not hf.utils.are_progress_bars_disabled()
