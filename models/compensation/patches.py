"""The patches of feature maps that a kernel sees at some places of its output."""

from math import prod

import numpy as np
from jax import lax

from models.windows import Sliding


def places(shape: tuple[int, ...], sliding: Sliding, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``count`` places of an output for each image: ``int64[b, k, axes]``.

    Args:
        shape: of the maps ``[b, *size, c]`` that the kernel moves over.
        sliding: over the axes ``size``.
        count: the largest ``k``.
        rng: draws the places of each image, without repetition.
    """
    outputs = sliding.outputs(shape[1:-1])
    every = prod(outputs)
    if every <= count:
        chosen = np.broadcast_to(np.arange(every), (shape[0], every))
    else:
        chosen = np.argpartition(rng.random((shape[0], every)), count, axis=1)[:, :count]
    steps = [prod(outputs[axis + 1 :]) for axis in range(len(outputs))]
    axes = [chosen // step % extent for step, extent in zip(steps, outputs, strict=True)]
    return np.stack(axes, axis=-1) if axes else np.zeros((*chosen.shape, 0), np.int64)


def patches_at(maps: np.ndarray, sliding: Sliding, chosen: np.ndarray) -> np.ndarray:
    """Kernel inputs at the places ``chosen``: ``float32[b * k, elements of the kernel]``, channels fastest.

    Args:
        maps: ``float32[b, *size, c]``.
        sliding: over the axes ``size``.
        chosen: from :func:`places`.
    """
    padding = [(*pad, 0) for pad in ((0, 0), *sliding.padding, (0, 0))]
    maps = np.asarray(lax.pad(maps, np.zeros((), maps.dtype), padding))
    axes = len(sliding.kernel)
    elements = np.indices(sliding.kernel).reshape(axes, prod(sliding.kernel)).T * np.array(sliding.dilations, int)
    corners = chosen * np.array(sliding.strides, int)
    index = corners[:, :, None, :] + elements
    images = np.arange(len(maps))[:, None, None]
    seen = maps[(images, *np.moveaxis(index, -1, 0))]
    return seen.reshape(chosen.shape[0] * chosen.shape[1], -1)
