"""Classes of which a data set has no image: outputs that training would leave without a meaning."""

import numpy as np

from engine.errors import DataError
from experiments.data.datasets import ImageSet
from models.classes import Unnamed

_SHOWN = 10


def classes_without_images(images: ImageSet) -> tuple[str, ...]:
    """A warning that names the classes of the data set that have no image in the whole split; empty if none.

    Raises:
        DataError: labels are only numbers, and they begin at 1.
    """
    count = len(images.classes)
    absent = np.setdiff1d(np.arange(count), images.used())
    if not len(absent):
        return ()
    source = f"`data` {images.source}"
    if isinstance(images.classes, Unnamed) and absent.tolist() == [0] and count > 2:
        raise DataError(
            f"labels begin at 0 and those of {source} at 1: no image of the split {images.split} has label 0, "
            f"and one of {count} outputs would never be right; subtract 1 from the labels."
        )
    shown = ", ".join(images.classes[place] for place in absent[:_SHOWN])
    more = ", ..." if len(absent) > _SHOWN else ""
    what = "label" if isinstance(images.classes, Unnamed) else "class"
    return (
        f"no image of the split {images.split} of {source} has {what} {shown}{more}: {len(absent)} of the "
        f"network's {count} outputs are not trained.",
    )
