"""How many fitness images a search takes where the user does not say."""

from dataclasses import replace
from math import ceil

from experiments.data import datasets
from experiments.runs.problem import Problem
from models.cost import network_cost

_LEAST = 1_000
_PASS = 10**12
"""MACs of the unpruned network on all fitness images, at most: some 20 s on 2 cores."""
_DISCORDANT = 4.0
"""Share of images on which exactly one of the unpruned and the pruned network is right, in thresholds.

An assumption on the safe side: three RESULTs had 0.6, 1.7 and 2.5 thresholds.
"""
_ERRORS = 4.0
"""Standard errors of an accuracy drop within the threshold."""


def usual_images(threshold: float, macs: int) -> int:
    """The number of images at which an accuracy drop has a standard error of at most a quarter of the threshold.

    Fewer where the network is large, but never fewer than 1,000.

    Args:
        threshold: in percent.
        macs: of the unpruned network for one image.
    """
    affordable = _PASS // macs
    # The variance of a difference of paired shares is about the share of images that differ, by their number.
    needed = ceil(100 * _DISCORDANT * _ERRORS**2 / threshold) if threshold > 0 else affordable
    return max(_LEAST, min(needed, affordable))


def with_usual_images(problem: Problem) -> Problem:
    """The problem with a number of fitness images, if its options have none and the search ends with a finish.

    The finish checks its RESULT on images that the search did not see, so some are left where there are enough.
    The thesis's search takes all images.

    Raises:
        DataError: the data cannot be read.
    """
    options, data = problem.options, problem.options.data
    if data.images is not None or not options.finish:
        return problem
    found = datasets.size(data.data, data.split, data_dir=data.data_dir, labelled=data.labelled)
    count = usual_images(options.threshold, network_cost(problem.model.network)[1])
    if count >= found:
        return problem
    problem.reporter.message(
        f"`images` is not given: masks are scored on {count:,} of the {found:,} images of the split {data.split}."
    )
    return replace(problem, options=replace(options, data=replace(data, images=count)))
