"""The least squares problem of a kernel: the change of its weights that brings sums closest to wanted sums."""

from typing import NamedTuple

import numpy as np

RIDGE = 1e-2
"""Penalty on the squared change of a weight, in units of the mean second moment of its input."""

RECTIFIED_STEPS = 5
"""Least squares problems, one after the other, in front of a ReLU; twice as many gain nothing on other images."""

LEAST_GAIN = 1e-6
"""Outputs that are scaled by less than this part of the largest scale are dead."""


class LeastSquares(NamedTuple):
    """What the new weights of a kernel have to bring about, at all places that are fitted.

    The weights that are there already give ``present``. A change of the weights by ``d`` gives
    ``present + gain * (inputs @ d)``.

    Attributes:
        inputs: what the kernel reads, a batch of images each: ``float32[p, k]``, the last column a constant 1
            where a bias can hold a constant.
        wanted, present: the sums in the original and in the pruned network: ``float32[p, outputs]``.
        gain: ``float64[outputs]``.
        rectified: whether all negative sums are alike.
        constant: whether the inputs have the constant.
    """

    inputs: list[np.ndarray]
    wanted: list[np.ndarray]
    present: list[np.ndarray]
    gain: np.ndarray
    rectified: bool
    constant: bool


def solved(problem: LeastSquares) -> np.ndarray:
    """The change of the weights that brings the sums closest to the wanted sums: ``float64[k, outputs]``.

    Where all negative sums are alike, a sum that is wanted negative has no error once it is negative. Then the
    problem is solved several times, each time with the negative sums of the solution before as the wanted sums
    (as Zhang et al. 2016, arXiv:1505.06798). No step makes the error larger.
    """
    # A dead output of a norm would need boundless weights to change anything; its weights stay.
    size = np.abs(problem.gain)
    alive = size > LEAST_GAIN * size.max(initial=0)
    gain = np.where(alive, problem.gain, 1)
    products = sum((inputs.T @ inputs).astype(np.float64) for inputs in problem.inputs)
    assert isinstance(products, np.ndarray), "there are images"
    scale = np.mean(np.diagonal(products)[: len(products) - problem.constant])
    ridge = RIDGE * (scale if scale > 0 else 1.0)
    inverse = np.linalg.inv(products + ridge * np.eye(len(products)))
    change = np.zeros((len(products), len(gain)))
    for step in range(RECTIFIED_STEPS if problem.rectified else 1):
        targets = np.zeros_like(change)
        for inputs, wanted, present in zip(*problem[:3], strict=True):
            if step > 0:
                reached = present + inputs @ (change * gain).astype(np.float32)
                wanted = np.where(wanted > 0, wanted, np.minimum(reached, 0))
            targets += inputs.T @ (wanted - present)
        change = inverse @ (targets / gain)
    return np.where(alive, change, 0)
