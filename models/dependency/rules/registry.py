"""Which rule serves which primitive."""

from models.dependency.rules import contraction, elementwise, reduction, shape
from models.dependency.rules.contract import Rule
from models.dependency.rules.unknown import unknown

RULES: dict[str, Rule] = {
    **dict.fromkeys(elementwise.PRIMITIVES, elementwise.elementwise),
    **dict.fromkeys(reduction.REDUCTIONS, reduction.reduction),
    **dict.fromkeys(reduction.WINDOWS, reduction.window),
    **dict.fromkeys(("slice", "split", "pad", "rev"), shape.cutting),
    "broadcast_in_dim": shape.broadcast,
    "concatenate": shape.concatenate,
    "conv_general_dilated": contraction.convolution,
    "dot_general": contraction.dot,
    "reshape": shape.reshape,
    "squeeze": shape.squeeze,
    "transpose": shape.transpose,
}


def rule_of(primitive: str) -> Rule:
    """The rule of a primitive, by name."""
    return RULES.get(primitive, unknown)
