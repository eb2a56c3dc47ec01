"""The data set that is always there."""

import numpy as np
import PIL.Image

from experiments.data.datasets import available_splits, load


def test_digits_are_all_there_once():
    from sklearn.datasets import load_digits

    assert available_splits("digits") == ("train", "test")
    train, test = load("digits", "train", image_size=8), load("digits", "test", image_size=8)
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int32
    assert train.classes == tuple("0123456789")
    assert train.images.min() == 0
    assert train.images.max() == 255
    both = np.concatenate([train.images, test.images]).reshape(-1, 64)
    whole = np.rint(load_digits().data * 255 / 16).astype(np.uint8)
    assert sorted(map(bytes, both)) == sorted(map(bytes, whole))
    # Stratified: every class has a fifth of its images in the test split.
    for label in range(10):
        mine = [int((part.labels == label).sum()) for part in (train, test)]
        assert abs(mine[1] / sum(mine) - 0.2) < 0.01


def test_digits_are_resized_to_32_and_do_not_depend_on_the_seed():
    found = load("digits", "test", seed=1)
    assert found.images.shape == (360, 32, 32, 1)
    small = load("digits", "test", image_size=8)
    expected = PIL.Image.fromarray(small.images[3, ..., 0]).resize((32, 32), PIL.Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found.images[3, ..., 0], np.asarray(expected))
    assert load("digits", "test", seed=2).digest() == found.digest()
