"""Linear algebra whose last bits do not depend on the number of cores.

BLAS libraries split sums among threads, so that the same product differs in its last bits on one core and on
two; weights that follow from it would differ between workers.
"""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """While it is entered, NumPy computes with one thread, in the whole process."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    # Looking for the libraries takes milliseconds; NumPy's is there from the start.
    return ThreadpoolController()
