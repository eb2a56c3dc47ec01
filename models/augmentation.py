"""Random crops and horizontal flips, on the device."""

import jax
import jax.numpy as jnp


def random_crop(key: jax.Array, images: jax.Array, padding: int = 4) -> jax.Array:
    """Pad by ``padding`` zeros, then cut a window of the old size at random, for each image alone.

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


AUGMENTATIONS = {"none": (), "crop": (random_crop,), "crop-flip": (random_crop, random_flip)}
"""Name -> functions ``(key, images) -> images``. Digits must not be mirrored: ``crop`` is for them."""
