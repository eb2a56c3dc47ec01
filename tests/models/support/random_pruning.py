"""Prunes the user networks at random: ``python -m tests.models.support.random_pruning 100`` does so 100 times each."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.tracing.analysis import analyse
from models.tracing.pruned import in_inference, prune_module
from tests.models.support.small_networks import random_keeps
from tests.models.support.user_networks import INPUT_SHAPES, NETWORKS


def disturbed(module, seed=0):
    """The module with biases and batch statistics as training leaves them, not zeros and ones."""
    rng = np.random.default_rng(seed)

    def noisy(variable):
        array = variable[...]
        if not jnp.issubdtype(array.dtype, jnp.floating):
            return variable
        if isinstance(variable, nnx.BatchStat) or array.ndim == 1:
            return variable.replace(jnp.asarray(rng.uniform(0.5, 1.5, array.shape), jnp.float32))
        return variable

    nnx.update(module, nnx.map_state(lambda _, variable: noisy(variable), nnx.state(module)))
    return module


def counted(module, input_shape):
    """Parameters from the arrays themselves; MACs from the shapes of the program that the module runs."""
    parameters = sum(array.size for array in jax.tree.leaves(nnx.state(module, nnx.Param)))
    program = jax.make_jaxpr(in_inference(module))(jnp.zeros((1, *input_shape)))
    return parameters, macs(program.jaxpr)


def macs(jaxpr):
    total = 0
    for equation in jaxpr.eqns:
        shapes = [atom.aval.shape for atom in (*equation.invars, *equation.outvars)]
        if equation.primitive.name == "conv_general_dilated":
            filters = equation.params["dimension_numbers"].rhs_spec[0]
            total += int(np.prod(shapes[2]) * np.prod(shapes[1]) // shapes[1][filters])
        elif equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
            total += int(np.prod(shapes[2]) * np.prod([shapes[0][axis] for axis in contracted]))
        for value in equation.params.values():
            body = getattr(value, "jaxpr", value)
            if hasattr(body, "eqns"):
                total += macs(body)
    return total


def assert_pruned_equals_masked(module, dependencies, keeps, images):
    """Masked and pruned agree, costs are those of the pruned arrays, and what is removed leaves no trace."""
    masked = np.asarray(dependencies.masked(module, images, keeps))
    smaller = prune_module(module, dependencies, keeps)
    pruned = np.asarray(in_inference(smaller)(images))
    np.testing.assert_allclose(pruned, masked, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(masked).max()))
    cost = dependencies.cost({name: keep[None] for name, keep in keeps.items()}, 1)
    assert counted(smaller, images.shape[1:]) == (cost.parameters[0], cost.macs[0])
    assert_no_trace(module, dependencies, keeps, images, masked)
    return smaller


def assert_no_trace(module, dependencies, keeps, images, masked):
    """NaN in all that makes the removed channels does not reach the masked network's logits."""
    poisoned = nnx.clone(module)
    state = dict(nnx.to_flat_state(nnx.state(poisoned)))
    for path, variable in state.items():
        spec = dependencies.specs.get(".".join(map(str, path)))
        last = spec.axes[-1] if spec else None
        if hasattr(last, "group"):
            removed = np.tile(np.repeat(~keeps[last.group], last.run), last.positions)
            state[path] = variable.replace(jnp.where(removed, jnp.nan, variable[...]))
    nnx.update(poisoned, nnx.from_flat_state(list(state.items())))
    np.testing.assert_array_equal(np.asarray(dependencies.masked(poisoned, images, keeps)), masked)


def prune_at_random(network, times, seed=0):
    shape = INPUT_SHAPES[network]
    module = disturbed(network(nnx.Rngs(seed)), seed)
    dependencies = analyse(module, shape)
    rng = np.random.default_rng(seed)
    for _ in range(times):
        images = jnp.asarray(rng.standard_normal((3, *shape)), jnp.float32)
        assert_pruned_equals_masked(module, dependencies, random_keeps(dependencies.filter_groups, rng), images)


if __name__ == "__main__":
    jax.config.update("jax_disable_most_optimizations", True)
    for each in NETWORKS:
        prune_at_random(each, int(sys.argv[1]))
        print(f"{each.__name__}: pruned equals masked {sys.argv[1]} times of {sys.argv[1]}", flush=True)
