"""Numbers of several seeds as one cell of a table."""

from collections.abc import Sequence

import numpy as np


def spread(numbers: Sequence[float], digits: int = 2) -> str:
    """``median (lowest to highest)``; the number alone if there is one, a dash for none."""
    if not numbers:
        return "-"
    median = f"{np.median(numbers):.{digits}f}"
    if len(numbers) == 1:
        return median
    return f"{median} ({min(numbers):.{digits}f} to {max(numbers):.{digits}f})"
