"""Classes of which only the numbers are known."""

from typing import Self


class Unnamed(tuple[str, ...]):
    """The numbers ``"0"``, ``"1"``, ... of classes without names, for pages that need a text for each class.

    Equal to the tuple of classes that are really called so. Only the type tells that nobody named these classes:
    a network from PyTorch may give its outputs any order.
    """

    __slots__ = ()

    @classmethod
    def of(cls, count: int) -> Self:
        """``count`` classes."""
        return cls(map(str, range(count)))
