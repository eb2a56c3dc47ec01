"""The images that neither training nor a search sees: the test split, where there is one apart from theirs."""

from dataclasses import replace

from experiments import datasets
from experiments.datasets import ImageSet
from experiments.measuring import DataOptions, load_images
from models.store import Model

SPLIT = "test"


def held_out_images(data: DataOptions, model: Model) -> ImageSet | None:
    """All of the test split; None where there is none, or ``data``, which the work is done on, is of it.

    Before long work it is to be read first, so that trouble with it comes early.

    Args:
        data: what the model is trained or searched on.
        model: that the images must fit.

    Raises:
        DataError: the split cannot be read, or does not fit the model.
    """
    if data.split == SPLIT or SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        return None
    return load_images(replace(data, split=SPLIT, images=None), model)


def none_apart(data: DataOptions) -> str:
    """The sentence for where :func:`held_out_images` has none."""
    return f"--data {data.data} has no {SPLIT} split apart from the search's."
