"""Numbers the labels of a data set as a model numbers its classes: by name, or else by number."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from engine.errors import DataError
from experiments.data.datasets import ImageSet
from experiments.data.matching import AUTO, NAME, NUMBER, Matching
from models.classes import Unnamed

_SHOWN = 5
_SEPARATORS = str.maketrans("", "", " _-")


def labelled_as(classes: tuple[str, ...], images: ImageSet, way: str = AUTO) -> ImageSet:
    """The same images, with labels that are places in ``classes``, the classes of a model.

    Labels are matched by name if model and data both have names. Names are equal if they differ only in case, in
    blanks, ``_`` and ``-``, in the Unicode form, or in zeros before a number, unless that makes two classes one.
    Otherwise labels are matched by number: the place of the class among the sorted names of the data set.

    Args:
        classes: of the model, in the order of its outputs.
        images: of a data set, with labels that are places in its own classes.
        way: one of :data:`experiments.data.matching.WAYS`; ``name`` and ``number`` allow no other way.

    Returns:
        Images with ``matching``.

    Raises:
        DataError: some images are of a class that the model does not know, or neither names nor numbers tell
            which class of the data is which class of the model.
    """
    if way == NUMBER or (isinstance(images.classes, Unnamed) and way == AUTO):
        return _by_number(classes, images)
    for there, whose in ((images.classes, f"`data` {images.source}"), (classes, "the model")):
        if isinstance(there, Unnamed) and way == NAME:
            raise DataError(
                f"`match_labels` {NAME} needs names and {whose} has none; import the model with `classes`, or "
                f"use `match_labels` {NUMBER}."
            )
    if isinstance(classes, Unnamed):
        return _to_unnamed(classes, images)
    return _by_name(classes, images, way)


def _by_name(classes: tuple[str, ...], images: ImageSet, way: str) -> ImageSet:
    """To a model that knows names, from data with names."""
    if classes == images.classes:
        return _matched(images, classes, NAME)
    used = images.used()
    names = [images.classes[label] for label in used]
    for key in (_strict, _loose):
        places = _places(classes, key)
        found = [places.get(key(name), -1) for name in names]
        if min(found) >= 0 and len(set(found)) == len(found):
            place_of = np.full(len(images.classes), -1, np.int32)
            place_of[used] = found
            return _matched(images, classes, NAME, place_of)
    known = {_loose(name) for name in classes}
    strange = [name for name in names if _loose(name) not in known]
    count = len(images.classes)
    numbered = images.classes == Unnamed.of(count) and count == len(classes)
    if way == AUTO and numbered and len(strange) == len(names):
        # The data has numbers for names, each in its own place, and the model has other names.
        return _by_number(classes, images)
    if not strange:
        raise DataError(
            f"`data` {images.source} has classes {_listed(names)} and the model knows {_listed(classes)}, and "
            "one name could be that of several classes; give each class a name of its own, or use `match_labels` "
            f"{NUMBER}."
        )
    raise DataError(
        f"`data` {images.source} has images of {strange[0]!r} and the model knows {_listed(classes)}; name "
        f"classes as the model does, or use `match_labels` {NUMBER} if the sorted names of the data are in the "
        "order of the model's outputs."
    )


def _to_unnamed(classes: Unnamed, images: ImageSet) -> ImageSet:
    """To a model whose classes nobody named, from data with names."""
    names = images.classes
    numbers = _numbers(names)
    if len(names) == len(classes):
        found = _by_number(classes, images)
        if numbers is not None and any(later < earlier for earlier, later in pairwise(numbers)):
            return _warned(
                found,
                f"the classes of `data` {images.source} are numbers and not in the order of numbers: output 0, "
                f"1, 2, ... of the model is taken for {_listed(names)}, as torchvision's ImageFolder sorts "
                "folders; import the model with `classes` to settle the order.",
            )
        return found
    if numbers is not None and _are_outputs(names, numbers, len(classes)):
        return _matched(images, classes, NUMBER, np.array(numbers, np.int32))
    raise DataError(
        f"the model has {len(classes)} classes without names and `data` {images.source} has {len(names)}, called "
        f"{_listed(names)}, so neither names nor numbers tell which is which; import the model with `classes` "
        f"and all {len(classes)} names in the order of its outputs."
    )


def _are_outputs(names: Sequence[str], numbers: Sequence[int], count: int) -> bool:
    """Whether some of ``count`` classes go by the numbers of their outputs, in whichever way they are sorted."""
    if min(numbers) != 0 or max(numbers) >= count:
        # Without a class 0 nobody knows whether numbers begin at 0 or at 1.
        return False
    widths = set(map(len, names))
    padded = len(widths) == 1 and widths.pop() >= len(str(count - 1))
    return padded or (count <= 10 and all(len(name) == 1 for name in names))


def _by_number(classes: tuple[str, ...], images: ImageSet) -> ImageSet:
    """Labels stay as they are."""
    used, count, source = images.used(), len(classes), f"`data` {images.source}"
    low, high = int(used.min()), int(used.max())
    if high >= count:
        if low == 1 and high == count and isinstance(images.classes, Unnamed):
            raise DataError(
                f"labels begin at 0 and those of {source} at 1: they go from 1 to {high} and the model has "
                f"{count} classes; subtract 1 from the labels."
            )
        raise DataError(
            f"{source} has label {high} and the model knows {count} classes, 0 to {count - 1}; give the data "
            "that the model was trained on."
        )
    found = _matched(images, classes, NUMBER)
    if isinstance(images.classes, Unnamed) and low > 0:
        found = _warned(
            found,
            f"no image of {source} has label 0: its labels go from {low} to {high}; check that they do not begin "
            f"at {low}, as labels begin at 0.",
        )
    if len(images.classes) != count:
        found = _warned(
            found,
            f"{source} has {len(images.classes)} classes and the model {count}: check that these are the labels "
            "that the model was trained on.",
        )
    return found


def _matched(
    images: ImageSet, classes: tuple[str, ...], way: str, place_of: np.ndarray | None = None
) -> ImageSet:
    """The images with labels of the model; ``place_of`` maps a label to its place, None keeps labels."""
    used, count = images.used(), len(classes)
    told = f"by {way}, " + (f"{count} classes" if len(used) == count else f"{len(used)} of {count} classes")
    if way == NUMBER and not isinstance(images.classes, Unnamed):
        told += (
            f": the outputs of the model are taken for the sorted names {_listed(images.classes)}"
            if place_of is None
            else ": the names are the numbers of the model's outputs"
        )
    if place_of is not None:
        images = replace(images, labels=place_of[images.labels], present=place_of[used])
    return replace(images, classes=classes, matching=Matching(way, told))


def _warned(images: ImageSet, sentence: str) -> ImageSet:
    assert images.matching is not None
    matching = images.matching
    return replace(images, matching=replace(matching, warnings=(*matching.warnings, sentence)))


def _strict(name: str) -> str:
    """Names that look the same are the same; folders from macOS have another Unicode form."""
    return unicodedata.normalize("NFC", name).strip()


def _loose(name: str) -> str:
    key = unicodedata.normalize("NFKC", name).casefold().translate(_SEPARATORS)
    return str(int(key)) if key.isdecimal() else key


def _places(classes: Sequence[str], key: Callable[[str], str]) -> dict[str, int]:
    """Key of a name -> the place of its class, for the keys that only one class has."""
    keys = [key(name) for name in classes]
    counts = Counter(keys)
    return {each: place for place, each in enumerate(keys) if counts[each] == 1}


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The numbers that the names are; None unless all names are different whole numbers."""
    if not all(name.strip().isdecimal() for name in names):
        return None
    numbers = [int(name) for name in names]
    return numbers if len(set(numbers)) == len(numbers) else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
