"""Arrays of images."""

import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.data.datasets import available_splits, load
from tests.support.data_files import pictures, refused


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5)),
    channels=st.sampled_from([None, 1, 3]),
    column=st.booleans(),
    kind=st.sampled_from(["u1", "i2", "<i8", ">i4", "u8"]),
    seed=st.integers(0, 2**31),
)
def test_npz_round_trip(scratch, shape, channels, column, kind, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, shape if channels is None else (*shape, channels), dtype=np.uint8)
    labels = rng.integers(0, 9, shape[0]).astype(kind)
    path = scratch / "a.npz"
    given_labels = labels[:, None] if column else labels
    np.savez(path, x_train=images, y_train=given_labels, x_test=images[:0], y_test=given_labels[:0])
    found = load(f"npz:{path}", "train")
    np.testing.assert_array_equal(found.images, images if channels else images[..., None])
    np.testing.assert_array_equal(found.labels, labels)
    assert found.labels.dtype == np.int32
    assert found.classes == tuple(map(str, range(labels.max() + 1)))
    assert load(f"npz:{path}", "train", image_size=4).images.shape == (shape[0], 4, 4, channels or 1)


def test_npz_splits_and_classes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=pictures(2), y_train=[0, 1], x_test=pictures(3), y_test=[0, 5, 1])
    assert available_splits(f"npz:{path}") == ("train", "test")
    assert load(f"npz:{path}", "train").classes == tuple("012345")
    assert len(load(f"npz:{path}", "test")) == 3
    np.savez(path, images=pictures(2), labels=[0, 1])
    assert available_splits(f"npz:{path}") == ("train",)
    refused("`split` test", "train", data=f"npz:{path}", split="test")


@pytest.mark.parametrize(
    ("images", "labels", "parts"),
    [
        (pictures(2), [0, -1], ["label -1"]),
        (pictures(2), [0, 10**6], ["label 1000000"]),
        (pictures(2), [0.0, 1.0], ["not integers"]),
        (pictures(2), [0.0, np.nan], ["not integers"]),
        (pictures(2), [False, True], ["not integers"]),
        (pictures(2), [[0, 1], [1, 0]], ["shape (2, 2)", "one-hot labels", "labels.argmax(axis=1)"]),
        (pictures(2), [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], ["one-hot labels"]),
        (pictures(2), [[0, 2], [1, 0]], ["shape (2, 2)", "one integer for each image"]),
        (pictures(2), [0.0, 1.0], ["stored as float64", "int64"]),
        (pictures(2), [0.0, 1.5], ["type float64"]),
        (pictures(2), [0, -1], ["label -1 for 1 images", "no label"]),
        (pictures(2), [0, -2], ["label -2 outside"]),
        (pictures(2), [-1, -1], ["no labels (all are -1)", "choose a split with labels"]),
        (pictures(2), [np.nan, np.nan], ["no labels (all are NaN)"]),
        (pictures(2), ["cat", "dog"], ["texts, as 'cat'", "number of each class"]),
        (pictures(2), [0], ["2 images", "1 labels"]),
        (pictures(2).astype(np.float32), [0, 1], ["float32"]),
        (pictures(2, (4,)), [0, 1], ["shape (2, 4)"]),
        (pictures(2, (3, 6, 5)), [0, 1], ["shape (2, 3, 6, 5)"]),
        (pictures(2, (0, 5, 3)), [0, 1], ["shape (2, 0, 5, 3)"]),
        (pictures(0), np.zeros(0, int), ["holds no images"]),
        (np.array([1, "x"], object), [0, 1], ["unreadable array images"]),
    ],
)
def test_npz_that_does_not_fit(tmp_path, images, labels, parts):
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    refused("`", *parts, data=f"npz:{tmp_path / 'a.npz'}")


def test_npz_unreadable(tmp_path):
    path = tmp_path / "a.npz"
    name = f"npz:{path}"
    np.savez(path, images=pictures(2))
    refused("has no labels (there is images and no labels)", data=name)
    np.savez(path, x_train=pictures(2), labels=[0, 1])
    refused("x_train", data=name)
    np.savez_compressed(path, images=pictures(40), labels=np.zeros(40, int))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("not a readable npz", data=name)
    path.write_bytes(b"")
    refused("not a readable npz", data=name)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY broken")
        archive.writestr("labels.npy", b"")
    refused("unreadable array", data=name)
    np.save(tmp_path / "b.npy", pictures(2))
    refused("not a readable npz", data=f"npz:{tmp_path / 'b.npy'}")
    refused("not a readable npz", data=f"npz:{tmp_path}")


@pytest.mark.parametrize("labels", [None, [-1, -1]])
def test_a_test_split_without_labels_stands_in_nobodys_way(tmp_path, labels):
    arrays = {"x_train": pictures(2), "y_train": [0, 1], "x_test": pictures(2)}
    np.savez(tmp_path / "a.npz", **arrays, **({} if labels is None else {"y_test": labels}))
    name = f"npz:{tmp_path / 'a.npz'}"
    assert load(name, "train").classes == ("0", "1")
    refused("`split` test", "has no labels", data=name, split="test")
