"""How kernels move over feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True)
class Window:
    """A convolution's kernel size (rows, columns), its stride, and whether the map is padded with zeros.

    Padding keeps the size of the map at stride 1: ``(k - 1) // 2`` zeros in front and ``k // 2`` behind, at any
    stride. At stride 1 this is the 'SAME' of Keras and XLA; at stride 2 with an odd kernel it is PyTorch's
    ``padding=k // 2``, which centres its windows where a 1x1 kernel of stride 2 looks.
    """

    kernel: tuple[int, int]
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> Literal["SAME", "VALID"] | tuple[tuple[int, int], ...]:
        """The padding as XLA and Flax take it."""
        if not self.padded:
            return "VALID"
        return "SAME" if self.stride == 1 else tuple(((k - 1) // 2, k // 2) for k in self.kernel)

    @property
    def sliding(self) -> Sliding:
        """The same with an entry for rows and one for columns."""
        padding = tuple(((k - 1) // 2, k // 2) if self.padded else (0, 0) for k in self.kernel)
        return Sliding(self.kernel, (self.stride,) * 2, padding, (1, 1))

    def outputs(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the output for a map of ``size``; 0 or less if the kernel does not fit."""
        height, width = (
            (extent - (0 if self.padded else k - 1) - 1) // self.stride + 1
            for extent, k in zip(size, self.kernel, strict=True)
        )
        return height, width


class Sliding(NamedTuple):
    """How a kernel moves over the axes of a map between images and channels, with one entry for each such axis.

    A dense layer that reads all of a vector has no such axis.

    Attributes:
        kernel: extent of the kernel.
        strides: steps between two places of the output.
        padding: zeros in front of and behind the map; negative where the map is cropped.
        dilations: steps between two elements of the kernel.
    """

    kernel: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    dilations: tuple[int, ...] = ()

    def outputs(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Extents of the output for a map of ``size``."""
        axes = zip(size, self.kernel, self.strides, self.padding, self.dilations, strict=True)
        return tuple((n + sum(pad) - (k - 1) * step - 1) // stride + 1 for n, k, stride, pad, step in axes)
