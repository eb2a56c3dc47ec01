"""Per-channel normalisation of uint8 images, stored with the model and applied on the device."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models.errors import StoreError


@dataclass(frozen=True)
class Normalisation:
    """``(pixel / 255 - mean) / std``, one mean and one standard deviation for each channel.

    Raises:
        StoreError: the lengths differ, a number is not finite, or a standard deviation is not positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise StoreError(
                f"normalisation needs one mean and one std for each channel, not {self.mean} and {self.std}."
            )
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise StoreError(
                f"normalisation needs finite means and positive stds, not {self.mean} and {self.std}."
            )

    @classmethod
    def of_images(cls, images: np.ndarray) -> "Normalisation":
        """The statistics of ``uint8[n, height, width, channels]``; a constant channel gets std 1/255."""
        count = images.size // images.shape[-1]
        axes = tuple(range(images.ndim - 1))
        sums = images.sum(axes, dtype=np.int64)
        squares = np.zeros(images.shape[-1], np.int64)
        for chunk in np.array_split(images, max(1, len(images) // 4096)):
            squares += np.square(chunk.astype(np.int64)).sum(axes)
        mean = sums / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
        return cls(tuple(round(float(m) / 255, 6) for m in mean), tuple(round(float(s) / 255, 6) for s in std))

    @classmethod
    def from_json(cls, entry: Any) -> "Normalisation":
        """Inverse of :meth:`to_json`."""
        try:
            return cls(tuple(map(float, entry["mean"])), tuple(map(float, entry["std"])))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"'normalisation' must hold lists 'mean' and 'std', not {entry!r}.") from error

    def to_json(self) -> dict[str, list[float]]:
        """``{"mean": [...], "std": [...]}``."""
        return {"mean": list(self.mean), "std": list(self.std)}

    def __call__(self, images: jax.Array) -> jax.Array:
        """``uint8[..., channels]`` -> ``float32[..., channels]``."""
        scale = jnp.asarray([1 / (255 * std) for std in self.std], jnp.float32)
        shift = jnp.asarray([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], jnp.float32)
        return images.astype(jnp.float32) * scale + shift
