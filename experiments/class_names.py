"""Labels as a model numbers its classes: by name, wherever both the data and the model have names."""

from dataclasses import replace

import numpy as np

from engine.errors import DataError
from experiments.datasets import ImageSet

_SHOWN = 5


def labelled_as(classes: tuple[str, ...], images: ImageSet) -> ImageSet:
    """The same images, with labels that are places in ``classes``, a model's.

    Labels stay as they are where nothing but their order says what they mean: either side has one name twice, the
    data have numbers from 0 on in place of names, or the model has, and not for all classes of the data.

    Raises:
        DataError: there are images of a class that the model does not know.
    """
    if (
        images.classes == classes
        or _are_numbers(images.classes)
        or not (_differ(images.classes) and _differ(classes))
    ):
        return images
    places = {name.strip(): place for place, name in enumerate(classes)}
    place_of = np.array([places.get(name.strip(), -1) for name in images.classes], np.int32)
    labels = place_of[images.labels]
    unknown = np.flatnonzero(labels < 0)
    if len(unknown) and _are_numbers(classes):
        return images
    if len(unknown):
        shown = ", ".join(classes[:_SHOWN]) + (", ..." if len(classes) > _SHOWN else "")
        raise DataError(
            f"--data {images.source} has images of {images.classes[images.labels[unknown[0]]]!r} and the model "
            f"knows {shown}; name classes as the model does, or give an npz file, in which they are numbers."
        )
    return replace(images, labels=labels, classes=classes)


def _are_numbers(classes: tuple[str, ...]) -> bool:
    return classes == tuple(map(str, range(len(classes))))


def _differ(classes: tuple[str, ...]) -> bool:
    return len({name.strip() for name in classes}) == len(classes)
