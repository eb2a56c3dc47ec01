"""The contract of a rule."""

from collections.abc import Callable, Sequence

from jax.extend import core

from models.dependency.context import Context
from models.dependency.dimensions import Dimensions

Rule = Callable[[core.JaxprEqn, Sequence[Dimensions], Context], list[Dimensions]]
"""An equation and what its operands carry -> what its results carry; ties go into the context."""
