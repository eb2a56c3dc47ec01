"""The layout of a mask: which slice belongs to which layer.

A mask is ``bool[n_filters]``, True = keep. On the wire and on disk a mask is packed to bits.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.errors import MaskError


@dataclass(frozen=True)
class Layout:
    """Names and sizes of the layers, in genome order.

    Raises:
        MaskError: there is no layer, a size is below 1, or a name appears twice.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.names or len(self.names) != len(self.sizes) or min(self.sizes) < 1:
            raise MaskError(f"a layout needs a positive size for each layer, not {self.names} {self.sizes}.")
        if len(set(self.names)) != len(self.names):
            raise MaskError(f"layer names must differ, not {self.names}.")

    @cached_property
    def n_filters(self) -> int:
        """The length of a mask."""
        return sum(self.sizes)

    @cached_property
    def offsets(self) -> np.ndarray:
        """``int64[layers]``: the start of each layer's slice."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    def split(self, masks: np.ndarray) -> dict[str, np.ndarray]:
        """Split ``bool[..., n_filters]`` into layer name -> ``bool[..., size]``."""
        parts = np.split(masks, self.offsets[1:], axis=-1)
        return dict(zip(self.names, parts, strict=True))

    def kept(self, masks: np.ndarray) -> np.ndarray:
        """Filters kept in each layer: ``bool[..., n_filters]`` -> ``int64[..., layers]``."""
        return np.add.reduceat(masks, self.offsets, axis=-1, dtype=np.int64)

    def empties(self, masks: np.ndarray) -> np.ndarray:
        """Whether a mask removes all filters of a layer: ``bool[..., n_filters]`` -> ``bool[..., layers]``.

        No search, export or score accepts such a mask: every layer keeps a filter.
        """
        return self.kept(masks) == 0

    def full(self) -> np.ndarray:
        """The mask that keeps every filter."""
        return np.ones(self.n_filters, bool)

    def checked(self, masks: np.ndarray) -> np.ndarray:
        """``masks``, if they are ``bool[n, n_filters]``.

        Raises:
            MaskError: the masks have another shape or dtype.
        """
        if masks.dtype != bool or masks.ndim != 2 or masks.shape[1] != self.n_filters:
            raise MaskError(
                f"masks must be bool[n, {self.n_filters}] (True = keep), not {masks.dtype}{list(masks.shape)}."
            )
        return masks

    def pack(self, masks: np.ndarray) -> np.ndarray:
        """``bool[..., n_filters]`` -> ``uint8[..., ceil(n_filters / 8)]``."""
        return np.packbits(masks, axis=-1)

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`pack`."""
        return np.unpackbits(packed, axis=-1, count=self.n_filters).astype(bool)


def mask_sha256(mask: np.ndarray) -> str:
    """The name of a mask: SHA-256 of its packed bits."""
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
