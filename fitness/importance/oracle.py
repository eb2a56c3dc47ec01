"""Importance by trial: the images that the network loses if one filter is removed.

The oracle of Molchanov et al. 2017 (arXiv:1611.06440, section 3.1) with accuracy in place of the loss. One mask
for each filter is affordable because masks share their prefixes (:mod:`fitness.evaluation.tree.prefix_tree`): the
stages in front of a filter run once for all masks. The 4,224 masks of a VGG-16 take as many multiplications as
1,080 passes of the images through the whole network, so use few images.
"""

import numpy as np

from engine.contracts import FAILED
from fitness.evaluation.evaluator import LocalEvaluator, usual_batch
from fitness.importance.contract import ImportanceError, Subject


def oracle(subject: Subject, *, batch: int | None = None) -> np.ndarray:
    """Correct images of the network minus correct images without the filter: whole numbers, negative for a gain.

    There are many ties, above all at 0. A mask whose network answers NaN or infinity gets no image right.
    ``batch``: images of a batch; None: the default of the device.

    Raises:
        ImportanceError: the network itself answers NaN or infinity.
    """
    layout = subject.layout
    masks = np.vstack([layout.full(), ~np.eye(layout.n_filters, dtype=bool)])
    batch = batch or usual_batch()
    with LocalEvaluator(subject.model, layout, subject.images, subject.labels, batch) as evaluator:
        whole, *without = evaluator.evaluate(masks)
    if whole == FAILED:
        raise ImportanceError("the network answers NaN or infinity to some of these images; train it anew.")
    return (whole - np.maximum(without, 0)).astype(np.float64)
