"""What a kernel sees of feature maps, at some places of its output."""

import numpy as np

from models.window import Window


def places(
    shape: tuple[int, ...], window: Window | None, count: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Rows and columns of an output, ``int64[b, k, 2]``, for each image other ones, at most ``count``.

    Args:
        shape: of the maps ``[b, height, width, c]`` that the window moves over.
        window: None for a dense layer, which has no places: None is the answer.
        count: places.
        rng: draws them, without repetition.
    """
    if window is None:
        return None
    height, width = window.outputs((shape[1], shape[2]))
    every = height * width
    if every <= count:
        chosen = np.broadcast_to(np.arange(every), (shape[0], every))
    else:
        chosen = np.argpartition(rng.random((shape[0], every)), count, axis=1)[:, :count]
    return np.stack(np.divmod(chosen, width), axis=-1)


def patches_at(maps: np.ndarray, window: Window | None, chosen: np.ndarray | None) -> np.ndarray:
    """``float32[b * k, rows of the kernel]``, channels fastest; of a dense layer ``[b, everything]``.

    Args:
        maps: ``float32[b, ..., c]``.
        window: see :func:`places`.
        chosen: the places.
    """
    if window is None or chosen is None:
        return maps.reshape(len(maps), -1)
    if window.padded:
        padding = ((0, 0), *(((k - 1) // 2, k // 2) for k in window.kernel), (0, 0))
        maps = np.pad(maps, padding)
    corners = chosen * window.stride
    rows = corners[:, :, 0, None, None] + np.arange(window.kernel[0])[:, None]
    columns = corners[:, :, 1, None, None] + np.arange(window.kernel[1])
    images = np.arange(len(maps))[:, None, None, None]
    return maps[images, rows, columns].reshape(chosen.shape[0] * chosen.shape[1], -1)
