"""How the kernel of a convolution moves over a feature map."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Window:
    """A kernel's rows and columns, its stride, and whether the map is padded with zeros.

    Padding is what keeps the size at stride 1, at any stride: ``(k - 1) // 2`` zeros in front and ``k // 2``
    behind. At stride 1 that is the 'SAME' of Keras and XLA; at stride 2 with an odd kernel it is PyTorch's
    ``padding=k // 2``, which looks at the same places as a 1x1 kernel of stride 2 does.
    """

    kernel: tuple[int, int]
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> Literal["SAME", "VALID"] | tuple[tuple[int, int], ...]:
        """As XLA and Flax take it."""
        if not self.padded:
            return "VALID"
        return "SAME" if self.stride == 1 else tuple(((k - 1) // 2, k // 2) for k in self.kernel)

    def outputs(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what comes out of a map of ``size``; 0 or less if the kernel does not fit."""
        height, width = (
            (extent - (0 if self.padded else k - 1) - 1) // self.stride + 1
            for extent, k in zip(size, self.kernel, strict=True)
        )
        return height, width
