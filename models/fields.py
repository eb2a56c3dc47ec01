"""What the families of architectures share: a JSON form that is checked when it is read, and scaled widths."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

import msgspec

from models.errors import ArchitectureError


class JSONArchitecture:
    """Gives a frozen dataclass :meth:`to_json` and :meth:`from_json` (:class:`models.contract.Architecture`)."""

    family: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {"family": self.family, **msgspec.json.decode(msgspec.json.encode(self))}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            ArchitectureError: a field is missing, of the wrong type or out of its range.
        """
        for field in fields(cls):  # type: ignore[arg-type]
            if field.name not in entry:
                raise ArchitectureError(f"'{field.name}' of an architecture is missing.")
        try:
            return msgspec.convert(entry, cls)
        except msgspec.ValidationError as error:
            fault, _, place = str(error).replace("`", "").partition(" - at $.")
            raise ArchitectureError(f"'{place}' of an architecture does not fit: {fault.lower()}.") from error


def check_dropout(rate: float, name: str) -> None:
    """Refuse a dropout rate that is not at least 0 and below 1.

    Raises:
        ArchitectureError: naming the field ``name``.
    """
    if not 0 <= rate < 1:
        raise ArchitectureError(f"'{name}' of an architecture must be at least 0 and below 1, not {rate}.")


def check_epsilon(epsilon: float) -> None:
    """Refuse an epsilon of batch norm that is not above 0 and below 1.

    Raises:
        ArchitectureError: naming the field ``epsilon``.
    """
    if not 0 < epsilon < 1:
        raise ArchitectureError(f"'epsilon' of an architecture must be above 0 and below 1, not {epsilon}.")


def scaled(widths: tuple[int, ...], multiplier: float) -> tuple[int, ...]:
    """Widths times ``multiplier``, rounded, at least 1."""
    return tuple(max(1, round(width * multiplier)) for width in widths)


def scaled_dropout(rate: float, multiplier: float) -> float:
    """A dropout rate that shrinks with the width of a narrow network and does not grow with a wide one."""
    return round(rate * min(1.0, multiplier), 4)
