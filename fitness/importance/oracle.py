"""Importance by trial: the images lost by removing a filter, each tried alone.

The oracle of Molchanov et al. 2017 (arXiv:1611.06440, section 3.1) with accuracy in place of the loss. One mask
for each filter is affordable because masks share their prefixes: the stages in front of a filter run once for
all of them (:mod:`fitness.prefix_tree`). For the 4,224 filters of a VGG-16 that are as many multiplications as
1,080 passes of the images through the whole network, so give it few images.
"""

import numpy as np

from engine.contracts import FAILED
from fitness.evaluator import CPU_BATCH, GPU_BATCH, LocalEvaluator, on_gpu
from fitness.importance.contract import Subject
from fitness.importance.errors import ImportanceError


def oracle(subject: Subject, *, batch: int | None = None) -> np.ndarray:
    """Images that the network gets right and loses without the filter; whole numbers, negative for a gain.

    Ties are many, above all at 0, and stay: nothing else is mixed in. A mask whose network answers NaN or
    infinity gets no image right. ``batch``: images at once; None: what suits the device.

    Raises:
        ImportanceError: the network itself answers NaN or infinity.
    """
    layout = subject.layout
    masks = np.vstack([layout.full(), ~np.eye(layout.n_filters, dtype=bool)])
    batch = batch or (GPU_BATCH if on_gpu() else CPU_BATCH)
    with LocalEvaluator(subject.model, layout, subject.images, subject.labels, batch) as evaluator:
        whole, *without = evaluator.evaluate(masks)
    if whole == FAILED:
        raise ImportanceError("the network answers NaN or infinity to some of these images; train it anew.")
    return (whole - np.maximum(without, 0)).astype(np.float64)
