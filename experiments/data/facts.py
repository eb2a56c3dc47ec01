"""What a result tells of its data beside its figures: how labels were matched, what is doubtful or assumed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from experiments.data.datasets import ImageSet
from experiments.data.matching import ORIGINAL
from experiments.spelling import ACCURACY, AGREEMENT, measured_as


@dataclass(frozen=True)
class DataFacts:
    """Facts on the images that a result was measured on.

    Attributes:
        labels_matched: ``name``, ``number`` or ``original``; None where nothing was measured.
        matching: what that means here, for people.
        warnings: sentences on what makes the result doubtful.
        remarks: sentences on how the data was read: what was left out and what was assumed.
    """

    labels_matched: str | None = None
    matching: str | None = None
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, images: ImageSet, warnings: Iterable[str] = ()) -> Self:
        """The facts on images that are read; reading images may add remarks."""
        way, told = (None, None) if images.matching is None else (images.matching.way, images.matching.told)
        return cls(way, told, _once(warnings), _once(images.remarks))

    @property
    def measure(self) -> str:
        """What the figures called accuracy are: ``agreement`` with the unpruned network, else ``accuracy``."""
        return AGREEMENT if self.labels_matched == ORIGINAL else ACCURACY

    def adding(self, *, warnings: Iterable[str] = (), remarks: Iterable[str] = ()) -> Self:
        """The same facts with further sentences; each sentence stays once, and empty ones are dropped."""
        return replace(
            self, warnings=_once([*self.warnings, *warnings]), remarks=_once([*self.remarks, *remarks])
        )

    def to_json(self) -> dict[str, Any]:
        """Entries of a JSON object."""
        warnings, remarks = (
            [measured_as(sentence, self.measure) for sentence in some] for some in (self.warnings, self.remarks)
        )
        return {"measure": self.measure, **asdict(self), "warnings": warnings, "remarks": remarks}


def result_json(result: Any) -> dict[str, Any]:
    """A result, a dataclass with ``facts``, as one JSON object in which the facts are entries like the others."""
    entry = asdict(result)
    del entry["facts"]
    return {**entry, **result.facts.to_json()}


def _once(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, sentences)))
