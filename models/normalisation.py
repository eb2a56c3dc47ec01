"""Per-channel normalisation of uint8 images, stored with the model and applied on the device."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models.errors import StoreError

_WIDEST = 0.5
"""Numbers from 0 to 1 have no larger standard deviation."""


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
        """The statistics of ``uint8[n, height, width, channels]``; a std is at least 1/255."""
        count = images.size // images.shape[-1]
        axes = tuple(range(images.ndim - 1))
        sums = images.sum(axes, dtype=np.int64)
        squares = np.zeros(images.shape[-1], np.int64)
        for chunk in np.array_split(images, max(1, len(images) // 4096)):
            squares += np.square(chunk.astype(np.int64)).sum(axes)
        mean = sums / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
        return cls(tuple(round(float(m) / 255, 6) for m in mean), tuple(round(float(s) / 255, 6) for s in std))

    def doubt(self) -> str | None:
        """Why the numbers cannot be those of pixels from 0 to 1; None if they can.

        Networks from Caffe see pixels from 0 to 255: for pixels from 0 to 1 their standard deviation is 1/255.
        """
        mean, std = np.array(self.mean), np.array(self.std)
        given = f"mean {_written(mean)} and std {_written(std)}"
        if (mean < 0).any():
            return f"{given} are not of pixels from 0 to 1, whose means are not negative"
        if (mean > 1).any() or (std > 1).any():
            # One of the two may be right already; a std of 1 is that of pixels left at 0 to 255.
            right = mean / 255 if (mean > 1).any() else mean
            spread = std / 255 if (std > 1).any() or (std == 1).all() else std
            # A std of 1 is that of pixels which are only divided by 255.
            if (right > 1).any() or (not (spread == 1).all() and (spread > 1.05 * _WIDEST).any()):
                return f"{given} are of no pixels from 0 to 1, nor from 0 to 255{_without_point(mean, std)}"
            remedy = f"give mean {_written(right)} and std {_written(spread)}"
            return (
                f"{given} look like those of pixels from 0 to 255; pixels are from 0 to 1, so divide by 255: "
                f"{remedy}"
            )
        if (std < 0.9 / 255).any():
            return f"{given}: a std below 1/255 belongs to no images; it may have been divided by 255 twice"
        # Numbers from 0 to 1 with such a mean cannot spread so widely; 0 and 0.5, 0.5 and 1 are conventions.
        usual = (mean == 0).all() or (std == 0.5).all() or (std == 1).all()
        if not usual and (std > 1.05 * _widest(mean)).any() and (mean <= _widest(std)).all():
            return f"{given} look exchanged: numbers from 0 to 1 with such means do not spread so widely"
        return None

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


def _without_point(mean: np.ndarray, std: np.ndarray) -> str:
    """A remedy for numbers of thousandths, such as 229 for 0.229; empty if the numbers are none."""
    right = np.where(mean > 1, mean / 1000, mean)
    spread = np.where(std > 1, std / 1000, std)
    if (right > 1).any() or (spread > _WIDEST).any():
        return ""
    return f"; if a decimal point is missing, give mean {_written(right)} and std {_written(spread)}"


def _widest(mean: np.ndarray) -> np.ndarray:
    """The largest standard deviation of numbers from 0 to 1 with this mean."""
    return np.sqrt(np.maximum(mean * (1 - mean), 0))


def _written(numbers: np.ndarray) -> str:
    return ",".join(f"{number:.4g}" for number in numbers)
