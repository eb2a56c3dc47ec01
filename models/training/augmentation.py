"""Random changes of training images, on the device: crops, flips, rotations and colours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

Augment = Callable[[jax.Array, jax.Array], jax.Array]
"""``(key, images)`` -> images of the same shape and type."""


def random_crop(key: jax.Array, images: jax.Array, padding: int = 4) -> jax.Array:
    """Pad by ``padding`` zeros, then cut a window of the old size at random, for each image on its own.

    ``images``: ``float32[b, height, width, channels]``, already normalised: a zero is the mean colour.
    """
    count, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    offsets = jax.random.randint(key, (count, 2), 0, 2 * padding + 1)

    def crop(image: jax.Array, offset: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (offset[0], offset[1], 0), (height, width, channels))

    return jax.vmap(crop)(padded, offsets)


def random_flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror each image left to right with probability 1/2."""
    flips = jax.random.bernoulli(key, 0.5, (images.shape[0], 1, 1, 1))
    return jnp.where(flips, images[:, :, ::-1], images)


def random_rotation(key: jax.Array, images: jax.Array, degrees: float = 15.0) -> jax.Array:
    """Turn each image about its centre by an angle from ``-degrees`` to ``degrees``, bilinearly.

    ``images``: ``float32[b, height, width, channels]``, already normalised: corners that lie outside the
    image are filled with zero, the mean colour.
    """
    angles = jnp.deg2rad(jax.random.uniform(key, (images.shape[0],), minval=-degrees, maxval=degrees))
    return jax.vmap(rotate)(images, angles)


def rotate(image: jax.Array, angle: jax.Array) -> jax.Array:
    """Turn ``float32[height, width, channels]`` counter-clockwise by ``angle`` radians; zeros come in."""
    height, width, _ = image.shape
    down = jnp.arange(height)[:, None] - (height - 1) / 2
    right = jnp.arange(width)[None, :] - (width - 1) / 2
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    # The source of each pixel: its position, turned back.
    rows = cosine * down + sine * right + (height - 1) / 2
    columns = -sine * down + cosine * right + (width - 1) / 2

    def channel(plane: jax.Array) -> jax.Array:
        return jax.scipy.ndimage.map_coordinates(plane, [rows, columns], order=1, mode="constant")

    return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)


def random_brightness(key: jax.Array, pixels: jax.Array, strength: float = 0.2) -> jax.Array:
    """Multiply each image of ``float32[b, height, width, channels]``, 0 to 255, by a factor about 1."""
    return jnp.clip(pixels * _factors(key, pixels, strength), 0, 255)


def random_contrast(key: jax.Array, pixels: jax.Array, strength: float = 0.2) -> jax.Array:
    """Stretch or shrink each image's distance from its mean grey."""
    mean = jnp.mean(_grey(pixels), axis=(1, 2, 3), keepdims=True)
    return jnp.clip(mean + (pixels - mean) * _factors(key, pixels, strength), 0, 255)


def random_saturation(key: jax.Array, pixels: jax.Array, strength: float = 0.2) -> jax.Array:
    """Stretch or shrink each pixel's distance from its own grey; grey images stay as they are."""
    grey = _grey(pixels)
    return jnp.clip(grey + (pixels - grey) * _factors(key, pixels, strength), 0, 255)


def _factors(key: jax.Array, pixels: jax.Array, strength: float) -> jax.Array:
    return jax.random.uniform(key, (pixels.shape[0], 1, 1, 1), minval=1 - strength, maxval=1 + strength)


def _grey(pixels: jax.Array) -> jax.Array:
    """Luma (ITU-R BT.601) of red, green and blue; of any other number of channels the mean."""
    if pixels.shape[-1] == 3:
        return jnp.sum(pixels * jnp.array([0.299, 0.587, 0.114]), axis=-1, keepdims=True)
    return jnp.mean(pixels, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Augmentation:
    """The changes of a batch: of its pixels (``float32``, 0 to 255), then of the normalised images."""

    pixels: tuple[Augment, ...] = ()
    normalised: tuple[Augment, ...] = ()

    @property
    def keys(self) -> int:
        """Number of random keys that a batch takes."""
        return len(self.pixels) + len(self.normalised)

    def __call__(
        self, keys: jax.Array, images: jax.Array, normalisation: Callable[[jax.Array], jax.Array]
    ) -> jax.Array:
        """``uint8[b, height, width, channels]`` -> normalised ``float32`` of the same shape."""
        changed = images.astype(jnp.float32)
        for key, augment in zip(keys[: len(self.pixels)], self.pixels, strict=True):
            changed = augment(key, changed)
        changed = normalisation(changed)
        for key, augment in zip(keys[len(self.pixels) :], self.normalised, strict=True):
            changed = augment(key, changed)
        return changed


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "crop": Augmentation(normalised=(random_crop,)),
    "crop-flip": Augmentation(normalised=(random_crop, random_flip)),
    "flip-rotate-jitter": Augmentation(
        pixels=(random_brightness, random_contrast, random_saturation),
        normalised=(random_flip, random_rotation),
    ),
}
"""By name. ``crop`` suits digits, which must not be mirrored. ``flip-rotate-jitter`` is that of Asaraf Ali, who
names the kinds of change without strengths; 15 degrees and 20% are our choice."""
