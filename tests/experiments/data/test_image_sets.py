"""Images in memory: digest and shuffling."""

import hashlib
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from experiments.data.datasets import ImageSet


def make_set(images, labels):
    return ImageSet(images, labels, ("a", "b"), "npz:x", "train")


@settings(max_examples=30, deadline=None)
@given(
    images=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=4)),
    where=st.integers(0, 2**30),
)
def test_digest_tells_any_change_of_content(images, where):
    labels = np.zeros(len(images), np.int32)
    first = make_set(images, labels)
    assert first.digest() == make_set(images.copy(order="F"), labels.copy()).digest()
    changed = images.copy()
    changed.reshape(-1)[where % images.size] ^= 1
    assert make_set(changed, labels).digest() != first.digest()
    assert make_set(images, labels + np.int32(1)).digest() != first.digest()


def test_digest_tells_shape_and_dtype():
    labels = np.zeros(1, np.int32)
    wide = make_set(np.zeros((1, 2, 8, 1), np.uint8), labels)
    high = make_set(np.zeros((1, 8, 2, 1), np.uint8), labels)
    long = make_set(np.zeros((1, 2, 8, 1), np.uint8), labels.astype(np.int64))
    assert len({wide.digest(), high.digest(), long.digest()}) == 3
    assert len(wide) == 1
    expected = hashlib.sha256(b"|u1(1, 2, 8, 1)" + bytes(16) + b"<i4(1,)" + bytes(4)).hexdigest()
    assert wide.digest() == expected


def test_shuffling_keeps_images_with_their_labels_and_follows_the_seed():
    pixels = np.arange(200, dtype=np.uint8)[:, None, None, None]
    images = ImageSet(pixels, np.arange(200, dtype=np.int32), ("a",), "npz:x", "train")
    one, again, other = images.shuffled(3), images.shuffled(3), images.shuffled(4)
    assert one.digest() == again.digest() != other.digest()
    np.testing.assert_array_equal(one.images[:, 0, 0, 0], one.labels)
    assert sorted(one.labels.tolist()) == list(range(200))
    # A run of the original order would make the first images a sample of one class.
    assert abs(np.corrcoef(one.labels, np.arange(200))[0, 1]) < 0.2


def test_digest_of_nothing():
    assert len(make_set(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int32)).digest()) == 64


def test_importing_does_not_import_the_library():
    code = (
        "import sys, experiments.data.datasets; sys.exit('datasets' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
