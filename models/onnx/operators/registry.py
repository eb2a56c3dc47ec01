"""All operations by name."""

from models.onnx.operators.contract import Operator
from models.onnx.operators.contraction import CONTRACTIONS
from models.onnx.operators.elementwise import ELEMENTWISE
from models.onnx.operators.normalisation import FOLDED_NORM, NORMALISATION, folded_norm
from models.onnx.operators.pooling import POOLING
from models.onnx.operators.reduction import REDUCTION
from models.onnx.operators.shapes import SHAPES

OPERATORS: dict[str, Operator] = {
    **CONTRACTIONS,
    **ELEMENTWISE,
    **NORMALISATION,
    **POOLING,
    **REDUCTION,
    **SHAPES,
}
"""Name of an operation in ONNX -> the function that runs it."""

RUNNABLE: dict[str, Operator] = {**OPERATORS, FOLDED_NORM: folded_norm}
"""The same, and the operation that an import adds."""
