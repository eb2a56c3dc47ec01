"""Labels as a model numbers its classes: by name, wherever both the data and the model have names."""

from dataclasses import replace

import numpy as np

from engine.errors import DataError
from experiments.datasets import ImageSet

_SHOWN = 5


def labelled_as(classes: tuple[str, ...], images: ImageSet) -> ImageSet:
    """The same images, with labels that are places in ``classes``, a model's.

    Labels stay as they are where either side has one name twice, or numbers from 0 on, as data and models without
    names have: nothing but their order then says what they mean.

    Raises:
        DataError: there are images of a class that the model does not know.
    """
    if images.classes == classes or not (_are_names(images.classes) and _are_names(classes)):
        return images
    places = {name.strip(): place for place, name in enumerate(classes)}
    place_of = np.array([places.get(name.strip(), -1) for name in images.classes], np.int32)
    labels = place_of[images.labels]
    unknown = np.flatnonzero(labels < 0)
    if len(unknown):
        shown = ", ".join(classes[:_SHOWN]) + (", ..." if len(classes) > _SHOWN else "")
        raise DataError(
            f"--data {images.source} has images of {images.classes[images.labels[unknown[0]]]!r} and the model "
            f"knows {shown}; name classes as the model does, or give an npz file, in which they are numbers."
        )
    return replace(images, labels=labels, classes=classes)


def _are_names(classes: tuple[str, ...]) -> bool:
    numbers = tuple(map(str, range(len(classes))))
    return classes != numbers and len({name.strip() for name in classes}) == len(classes)
