"""The number type in which networks are evaluated. float32 is the reference."""

import jax.numpy as jnp

from engine.errors import OptionError

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
PRECISIONS = ("float32", "bfloat16", "auto")


def resolved(precision: str, on_gpu: bool) -> str:
    """``float32`` or ``bfloat16`` for a ``precision``.

    ``auto`` is bfloat16 on a GPU, whose matrix units compute bfloat16 at twice the speed of TF32 and many times
    that of float32; on CPU, XLA's bfloat16 is slower than its float32 (``docs/benchmarks.md``).

    Raises:
        OptionError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"`precision` must be one of {', '.join(PRECISIONS)}, not {precision!r}.")
    if precision == "auto":
        return "bfloat16" if on_gpu else "float32"
    return precision
