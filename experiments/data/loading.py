"""The images of a split as a model takes them: its size, its channels, its classes."""

from dataclasses import replace
from typing import Any

import numpy as np

from engine.errors import DataError
from experiments.data import datasets
from experiments.data.class_names import labelled_as
from experiments.data.datasets import ImageSet
from experiments.data.matching import AUTO
from experiments.data.options import RESIZES, DataOptions
from experiments.data.original_answers import answered
from experiments.data.sources.raw_split import UnlabelledError
from experiments.progress import Reporter, Silent
from models.model_directory import Model

TEST_SPLIT = "test"
HELD_OUT_SPLITS = (TEST_SPLIT, "validation", "valid", "val", "dev", "eval")
"""Splits that results are measured on, the best first."""


def load_images(options: DataOptions, model: Model, reporter: Reporter | None = None) -> ImageSet:
    """The images of a split, in memory, as :func:`open_images` describes them."""
    reporter = reporter or Silent()
    found = _opened(options, model, reporter)
    reporter.message(f"decoding {len(found):,} images of {found.source}, split {found.split}")
    return _labelled(found.decoded(), options, model, model, reporter)


def open_images(
    options: DataOptions,
    model: Model,
    reporter: Reporter | None = None,
    *,
    original: Model | None = None,
    places: np.ndarray | None = None,
) -> ImageSet:
    """The images of a split in the size and channels of the model, with labels that are places in its classes.

    Images are decoded when they are read. ``original`` is the unpruned network whose answers are the labels where
    the options say so; the model itself if None. ``places``: ``int64[n]``, ascending, which of the images; all if
    None.

    Raises:
        DataError: the data cannot be read, or does not fit the model; or ``original`` has other classes.
    """
    reporter = reporter or Silent()
    found = _opened(options, model, reporter)
    if places is not None and not options.labelled:
        # The network is asked about no other images.
        found, places = found.at(places), None
    labelled = _labelled(found, options, model, original or model, reporter)
    return labelled if places is None else labelled.at(places)


def _opened(options: DataOptions, model: Model, reporter: Reporter) -> ImageSet:
    height, width, channels = model.network.architecture.input_shape
    # Images of the user's own files keep their size, unless the model was trained on such images resized, or is
    # told how to resize them. Named sets and folders of pictures are resized to the model.
    resize = settled(options, model).resize
    resized = resize is not None or data_notes(model).get("image_size") == height
    sizeless = options.data.startswith(("npz:", "parquet:")) and not resized
    return datasets.open_split(
        options.data,
        options.split,
        data_dir=options.data_dir,
        images=options.images,
        seed=options.seed,
        image_size=None if sizeless else (height, width),
        resize=resize,
        channels=channels if channels in (1, 3) else None,
        labelled=options.labelled,
        tell=reporter.message,
    )


def _labelled(
    images: ImageSet, options: DataOptions, model: Model, original: Model, reporter: Reporter
) -> ImageSet:
    if options.labelled:
        return fitted(images, model, options.match_labels)
    _check_shape(images, model)
    shapes = [each.network.architecture.input_shape for each in (original, model)]
    if shapes[0] != shapes[1] or original.classes != model.classes:
        raise DataError(
            f"`original` has other images or classes than the model ({len(original.classes)} classes of "
            f"{shapes[0]} pixels, and {len(model.classes)} of {shapes[1]}); give the network that the model was "
            "pruned from."
        )
    reporter.message(f"asking the unpruned network about {len(images):,} images of the split {images.split}")
    return answered(images, original)


def settled(options: DataOptions, model: Model) -> DataOptions:
    """The same options with ``resize`` as the model was given it, unless the options say."""
    noted = data_notes(model).get("resize")
    return replace(options, resize=noted) if options.resize is None and noted in RESIZES else options


def note_resize(model: Model, options: DataOptions) -> None:
    """Keep in the notes of a model how its images are resized, if the options say."""
    if options.resize is not None:
        model.notes = {**model.notes, "data": {**data_notes(model), "resize": options.resize}}


def data_notes(model: Model) -> dict[str, Any]:
    """The entry ``data`` in the notes of a model; empty where there is none."""
    noted = model.notes.get("data")
    return noted if isinstance(noted, dict) else {}


def fitted(images: ImageSet, model: Model, way: str = AUTO) -> ImageSet:
    """The same images, with labels that are places in the model's classes (:mod:`experiments.data.class_names`).

    Raises:
        DataError: the images have another shape than the model takes, or classes that it does not know.
    """
    _check_shape(images, model)
    return labelled_as(model.classes, images, way)


def _check_shape(images: ImageSet, model: Model) -> None:
    expected = model.network.architecture.input_shape
    if images.shape != expected:
        found = "x".join(map(str, images.shape))
        raise DataError(
            f"`data` {images.source} has images of {found} and the model takes {'x'.join(map(str, expected))} "
            "(height x width x channels); give the data that the model was trained on."
        )


def held_out_images(
    data: DataOptions, model: Model, reporter: Reporter | None = None
) -> tuple[ImageSet | None, str]:
    """All images of the test split or, where it has no labels or is not there, of the validation split.

    The images are not in memory. Labels and the first image are read, so that some errors come early.

    Args:
        data: the images that the model is trained or searched on; their split is never taken.
        model: the model that the images must fit.
        reporter: receives a sentence before each long step.

    Returns:
        The images, None where no split is left; and a sentence for the user, empty for the test split, on why
        there are none or which were taken.

    Raises:
        DataError: the split cannot be read, or does not fit the model.
    """
    there = datasets.available_splits(data.data, data_dir=data.data_dir)
    why = f"`data` {data.data} has no {TEST_SPLIT} split"
    rest = "that the search did not use."
    for split in (each for each in HELD_OUT_SPLITS if each in there and each != data.split):
        try:
            found = open_images(replace(data, split=split, images=None), model, reporter)
        except UnlabelledError as error:
            if split == TEST_SPLIT:
                why = f"split {split} of `data` {data.data} has no labels ({error.__cause__})"
                rest = "and no other split is left for held-out images."
            continue
        return found, "" if split == TEST_SPLIT else f"{why}: held-out images are those of split {split}."
    return None, f"{why} {rest}"
