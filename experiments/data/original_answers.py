"""Labels that are a network's own answers, so that images need none: what is counted then is agreement."""

from dataclasses import replace

import numpy as np

from engine.errors import DataError
from experiments.data.datasets import ImageSet
from experiments.data.matching import ORIGINAL, Matching
from experiments.data.options import DataOptions
from fitness.evaluation.evaluator import usual_batch
from fitness.evaluation.streaming import StreamedEvaluator
from fitness.genome import Genome
from models.model_directory import Model


def answered(images: ImageSet, original: Model) -> ImageSet:
    """The same images, labelled with the classes that the unpruned network ``original`` answers.

    Images that are not in memory are read once, a few batches at a time.

    Raises:
        DataError: the network answers NaN or infinity.
    """
    layout = Genome.of(original.network, "all").layout
    evaluator = StreamedEvaluator(original, layout, images, usual_batch())
    [answers] = evaluator.predict(layout.full()[None])
    if (answers < 0).any():
        raise DataError(
            f"the unpruned network answers NaN or infinity on `data` {images.source}; train or import it anew."
        )
    found = np.unique(answers)
    told = (
        f"to the unpruned network's own answers, which are {len(found)} of {len(original.classes)} classes: "
        "figures are agreement with that network"
    )
    labels, matching = answers.astype(np.int32), Matching(ORIGINAL, told)
    return replace(images, labels=labels, classes=original.classes, present=None, matching=matching)


def check_labelled(options: DataOptions, purpose: str) -> None:
    """Refuse ``labels`` original where a network is to learn: its own answers teach it nothing.

    Raises:
        DataError: the labels are not those of the data.
    """
    if not options.labelled:
        raise DataError(f"`labels` {ORIGINAL} cannot be used to {purpose}: give data with labels.")
