import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.normalisation import Normalisation
from models.training import augmentation
from models.training.augmentation import AUGMENTATIONS

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 3), dtype=np.uint8)
PIXELS = jnp.asarray(IMAGES, jnp.float32)
NORMALISATION = Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def augmented(name, images=IMAGES, normalisation=NORMALISATION, seed=0):
    chosen = AUGMENTATIONS[name]
    keys = jax.random.split(jax.random.key(seed), max(1, chosen.keys))[: chosen.keys]
    return np.asarray(chosen(keys, jnp.asarray(images), normalisation))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shapes_stay_and_the_key_decides(name):
    first = augmented(name)
    assert first.shape == IMAGES.shape
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, augmented(name))
    assert np.array_equal(first, augmented(name, seed=1)) == (name == "none")
    grey = augmented(name, IMAGES[..., :1], Normalisation((0.5,), (0.2,)))
    assert grey.shape == (6, 9, 9, 1)


def test_nothing_done_is_normalisation():
    np.testing.assert_array_equal(augmented("none"), NORMALISATION(jnp.asarray(IMAGES)))


@pytest.mark.parametrize("quarters", range(-2, 3))
def test_quarter_turns_are_those_of_numpy(quarters):
    turned = augmentation.rotate(PIXELS[0], jnp.float32(quarters * np.pi / 2))
    np.testing.assert_allclose(turned, np.rot90(IMAGES[0], quarters), atol=0.01)


def test_corners_that_come_in_are_zero_and_angles_stay_within_bounds():
    ones = jnp.ones((200, 21, 21, 1))
    turned = np.asarray(augmentation.random_rotation(jax.random.key(1), ones, 10.0))
    assert turned[:, 10, 10].min() == pytest.approx(1, abs=1e-5)
    assert turned[:, 0, 0].min() < 0.5
    # A corner turned by 10 degrees leaves what lies 5 pixels further in as it is.
    np.testing.assert_allclose(turned[:, 5:16, 5:16], 1, atol=1e-5)


@pytest.mark.parametrize(
    "augment", [augmentation.random_brightness, augmentation.random_contrast, augmentation.random_saturation]
)
def test_colours_change_a_little_and_by_the_image(augment):
    mid = PIXELS / 4 + 96
    changed = np.asarray(augment(jax.random.key(0), mid, 0.2))
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert 0 < np.abs(changed - mid).max() <= 0.2 * 160 + 1e-3
    np.testing.assert_array_equal(augment(jax.random.key(0), mid, 0.0), np.clip(mid, 0, 255))
    extreme = np.asarray(augment(jax.random.key(3), PIXELS, 1.0))
    assert (extreme.min(), extreme.max()) >= (0, 0)
    assert extreme.max() <= 255


def test_brightness_scales_pixels():
    changed = np.asarray(augmentation.random_brightness(jax.random.key(2), PIXELS / 2, 0.2))
    factors = (changed / np.asarray(PIXELS / 2 + 1e-9)).reshape(6, -1)
    np.testing.assert_allclose(
        factors[IMAGES.reshape(6, -1) > 0].min(), factors[:, IMAGES[0].argmax()].min(), rtol=1e-4
    )
    assert len(set(np.round(np.median(factors, axis=1), 4))) == 6


def test_contrast_keeps_the_mean_grey():
    mid = PIXELS / 4 + 96
    changed = np.asarray(augmentation.random_contrast(jax.random.key(2), mid, 0.2))
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(
        (changed @ weights).mean((1, 2)), (np.asarray(mid) @ weights).mean((1, 2)), rtol=1e-4
    )


def test_saturation_keeps_the_luma_and_grey_images():
    mid = PIXELS / 4 + 96
    changed = np.asarray(augmentation.random_saturation(jax.random.key(2), mid, 0.5))
    for before, after in zip(np.asarray(mid).reshape(-1, 3), changed.reshape(-1, 3), strict=True):
        assert colorsys.rgb_to_yiq(*after)[0] == pytest.approx(colorsys.rgb_to_yiq(*before)[0], rel=2e-3)
    np.testing.assert_allclose(
        augmentation.random_saturation(jax.random.key(2), PIXELS[..., :1], 0.5), IMAGES[..., :1], atol=1e-3
    )
