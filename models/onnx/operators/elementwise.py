"""Operations that work index by index: activations, arithmetic, comparisons."""

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models.onnx.operators.contract import Call, Operator
from models.onnx.value import Laid, Value, laid, static, together

UNARY: dict[str, Callable[..., jax.Array]] = {
    "Abs": jnp.abs,
    "Ceil": jnp.ceil,
    "Cos": jnp.cos,
    "Erf": jax.scipy.special.erf,
    "Exp": jnp.exp,
    "Floor": jnp.floor,
    "HardSwish": lambda x: x * jnp.clip(x * np.float32(1 / 6) + np.float32(0.5), 0, 1),
    "Log": jnp.log,
    "Mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "Neg": jnp.negative,
    "Reciprocal": lambda x: 1 / x,
    "Relu": lambda x: jnp.maximum(x, 0),
    "Round": jnp.round,
    "Sigmoid": jax.nn.sigmoid,
    "Sign": jnp.sign,
    "Sin": jnp.sin,
    "Softplus": jax.nn.softplus,
    "Softsign": lambda x: x / (1 + jnp.abs(x)),
    "Sqrt": jnp.sqrt,
    "Tanh": jnp.tanh,
}
"""Functions of one value without attributes."""

WITH_NUMBERS: dict[str, tuple[Callable[..., jax.Array], dict[str, float]]] = {
    "Celu": (lambda x, alpha: jnp.maximum(x, 0) + jnp.minimum(alpha * jnp.expm1(x / alpha), 0), {"alpha": 1.0}),
    "Elu": (lambda x, alpha: jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0))), {"alpha": 1.0}),
    "HardSigmoid": (lambda x, alpha, beta: jnp.clip(x * alpha + beta, 0, 1), {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": (lambda x, alpha: jnp.where(x >= 0, x, alpha * x), {"alpha": 0.01}),
    "Selu": (
        lambda x, alpha, gamma: gamma * jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0))),
        {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    ),
    "ThresholdedRelu": (lambda x, alpha: jnp.where(x > alpha, x, 0), {"alpha": 1.0}),
}
"""Functions of one value and of attributes with these defaults."""

SEVERAL: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Add": (operator.add, operator.add),
    "And": (jnp.logical_and, np.logical_and),
    "Equal": (jnp.equal, np.equal),
    "Greater": (jnp.greater, np.greater),
    "GreaterOrEqual": (jnp.greater_equal, np.greater_equal),
    "Less": (jnp.less, np.less),
    "LessOrEqual": (jnp.less_equal, np.less_equal),
    "Max": (jnp.maximum, np.maximum),
    "Min": (jnp.minimum, np.minimum),
    "Mul": (operator.mul, operator.mul),
    "Or": (jnp.logical_or, np.logical_or),
    "Pow": (jnp.power, np.power),
    "PRelu": (lambda x, slope: jnp.where(x >= 0, x, slope * x), lambda x, slope: np.where(x >= 0, x, slope * x)),
    "Sub": (operator.sub, operator.sub),
    "Sum": (operator.add, operator.add),
}
"""Functions of two values, or of many in turn: in JAX, and in NumPy for static values."""


def _unary(function: Callable[..., jax.Array], call: Call) -> Value:
    value = call.given(0)
    if isinstance(value, Laid):
        return Laid(function(value.array), value.order)
    return _computed(function, value)


def _computed(function: Callable[..., jax.Array], value: np.ndarray) -> np.ndarray:
    with jax.ensure_compile_time_eval():
        return np.asarray(function(value)).astype(value.dtype)


def _with_numbers(function: Callable[..., jax.Array], defaults: dict[str, float], call: Call) -> Value:
    numbers = {name: np.float32(call.attribute(name, value)) for name, value in defaults.items()}
    return _unary(partial(function, **numbers), call)


def _several(functions: tuple[Callable[..., Any], Callable[..., Any]], call: Call) -> Value:
    values = [call.given(place) for place in range(len(call.operands))]
    for value in values:
        if not isinstance(value, Laid):
            continue
        arrays, order = together(values)
        return Laid(reduce(functions[0], arrays), order)
    return np.asarray(reduce(functions[1], values))


def division(call: Call) -> Value:
    """``Div``; of integers, rounded towards zero."""
    one, other = call.given(0), call.given(1)
    if isinstance(one, Laid) or isinstance(other, Laid):
        (above, below), order = together([one, other])
        return Laid(above / below, order)
    whole = np.issubdtype(one.dtype, np.integer)
    return np.trunc(one / other).astype(one.dtype) if whole else np.asarray(one / other)


def modulo(call: Call) -> Value:
    """``Mod``: the sign is that of the divisor, or with ``fmod`` that of the dividend."""
    functions = (jnp.fmod, np.fmod) if call.attribute("fmod", 0) else (jnp.mod, np.mod)
    return _several(functions, call)


def clip(call: Call) -> Value:
    """``Clip``: bounds are attributes up to version 10, inputs from 11 on."""
    bounds = []
    for place, name in enumerate(("min", "max"), 1):
        bound = call.operand(place)
        number = call.attribute(name) if bound is None else static(bound, f"bound {name}").item()
        bounds.append(None if number is None else np.float32(number))
    low, high = bounds
    if low is None and high is None:
        return call.given(0)
    return _unary(lambda x: jnp.clip(x, low, high), call)


def cast(call: Call) -> Value:
    """``Cast``: static values take the type; floating-point values of the image become or stay ``float32``."""
    return _as_type(call.given(0), call.attribute("to"))


def cast_like(call: Call) -> Value:
    """``CastLike``: as ``Cast``, to the type of another value."""
    other = call.given(1)
    return _as_type(call.given(0), str(other.array.dtype if isinstance(other, Laid) else other.dtype))


def _as_type(value: Value, dtype: str) -> Value:
    if not isinstance(value, Laid):
        return value.astype(dtype)
    if "float" not in dtype:
        raise ValueError(f"it casts values of the image to {dtype}")
    return Laid(value.array.astype(jnp.float32), value.order)


def gelu(call: Call) -> Value:
    """``Gelu``, exact or by ``tanh``."""
    return _unary(partial(jax.nn.gelu, approximate=call.attribute("approximate", "none") == "tanh"), call)


def where(call: Call) -> Value:
    """``Where``: choose index by index."""
    values = [call.given(place) for place in range(3)]
    numbers = [value for value in values if not isinstance(value, Laid)]
    if len(numbers) == len(values):
        return np.where(*numbers)
    (condition, one, other), order = together(values)
    return Laid(jnp.where(condition, one, other), order)


def mean(call: Call) -> Value:
    """``Mean`` of several values."""
    arrays, order = together([laid(call.given(place)) for place in range(len(call.operands))])
    return Laid(reduce(operator.add, arrays) / np.float32(len(arrays)), order)


def same(call: Call) -> Value:
    """``Identity``, and ``Dropout`` in inference."""
    return call.given(0)


ELEMENTWISE: dict[str, Operator] = {
    **{name: partial(_unary, function) for name, function in UNARY.items()},
    **{name: partial(_with_numbers, *entry) for name, entry in WITH_NUMBERS.items()},
    **{name: partial(_several, functions) for name, functions in SEVERAL.items()},
    "Cast": cast,
    "CastLike": cast_like,
    "Clip": clip,
    "Div": division,
    "Mod": modulo,
    "Dropout": same,
    "Gelu": gelu,
    "Identity": same,
    "Mean": mean,
    "Where": where,
}
