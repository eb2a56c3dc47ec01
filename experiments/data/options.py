"""Which images to use: the data set, its place, the split and the subset."""

from dataclasses import MISSING, dataclass, replace
from pathlib import Path

from engine.errors import DataError
from engine.options import check_choices, option
from experiments.data.matching import AUTO, LABELS, ORIGINAL, WAYS
from experiments.spelling import ACCURACY, AGREEMENT

SQUASH, CROP = "squash", "crop"
RESIZES = (SQUASH, CROP)
"""How a picture is brought to a size: height and width apart, or the short side and then the centre."""


@dataclass(frozen=True)
class DataOptions:
    """Which images to use.

    Raises:
        DataError: a value out of its range.
    """

    data: str = option(
        MISSING,
        "Data set: digits, cifar10, fashion_mnist, svhn, or your own as parquet:PATH, imagefolder:PATH, "
        "npz:PATH, vehiclex:PATH.",
        metavar="DATA",
    )
    data_dir: str | None = option(
        None,
        "Folder with the parquet files of a named data set. Downloads from the hub if not given.",
        metavar="DIR",
    )
    split: str = option("train", "Split to use.", metavar="NAME")
    images: int | None = option(None, "Number of images, picked at random by `seed`. All if not given.")
    seed: int = option(0, "Seed of everything random.")
    resize: str | None = option(
        None,
        "How images get the model's size: squash takes height and width apart, crop the short side and then the "
        "centre. As the model was trained or imported if not given, else squash.",
        metavar="[squash|crop]",
    )
    labels: str = option(
        "data",
        "Right answers: the labels of the data, or the original, unpruned network's own answers, for which "
        "images need no labels. Accuracy then is agreement with that network.",
        choices=LABELS,
    )
    match_labels: str = option(
        AUTO,
        "Match the classes of the data with those of the model by name, or by number, the place among the sorted "
        "names. auto goes by name where both have names.",
        choices=WAYS,
    )

    def __post_init__(self) -> None:
        check_choices(self)
        if not self.labelled and self.match_labels != AUTO:
            raise DataError(f"`match_labels` has no effect with `labels` {ORIGINAL}; leave one of them out.")
        check_subset(self.images, self.seed)
        check_resize(self.resize)

    @property
    def labelled(self) -> bool:
        """Whether labels are those of the data."""
        return self.labels != ORIGINAL

    @property
    def measure(self) -> str:
        """``accuracy`` or ``agreement``: what is measured on these images."""
        return ACCURACY if self.labelled else AGREEMENT

    def moved(self, folder: str) -> "DataOptions":
        """The same data in another place: ``data_dir`` of a named set, PATH of ``KIND:PATH``."""
        kind, colon, _ = self.data.partition(":")
        place = str(Path(folder).resolve())
        return replace(self, data=f"{kind}:{place}") if colon else replace(self, data_dir=place)

    def resolved(self) -> "DataOptions":
        """The same options with absolute paths, so that a run can be resumed from another working directory."""
        kind, colon, path = self.data.partition(":")
        data = f"{kind}:{Path(path).resolve()}" if colon and path else self.data
        data_dir = None if self.data_dir is None else str(Path(self.data_dir).resolve())
        return replace(self, data=data, data_dir=data_dir)


def check_subset(images: int | None, seed: int) -> None:
    """Refuse a subset that cannot be picked.

    Raises:
        DataError: ``images`` is below 1, or ``seed`` is negative.
    """
    if images is not None and images < 1:
        raise DataError(f"`images` is {images}; give a number of at least 1, or leave it out for all images.")
    if seed < 0:
        raise DataError(f"`seed` is {seed}; give a number of at least 0.")


def check_resize(resize: str | None) -> None:
    """Refuse an unknown way to resize.

    Raises:
        DataError: ``resize`` is neither None nor one of :data:`RESIZES`.
    """
    if resize is not None and resize not in RESIZES:
        raise DataError(f"`resize` must be one of {', '.join(RESIZES)}, not {resize!r}.")
