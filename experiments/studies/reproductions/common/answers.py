"""Classes that whole networks predict, without a mask: a genome does not describe single weights."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.contract import Network, run_chain
from models.normalisation import Normalisation

Prepare = Callable[[jax.Array], jax.Array]


class Answers:
    """The classes that networks give to the same images; those of one architecture share a program.

    Args:
        normalisation: of all the networks.
        images: ``uint8[n, height, width, channels]``.
        batch: images at a time.
        shared: a chain whose stages before the one called ``first`` all the networks have in common; they run
            once, here.
        first: see ``shared``.
    """

    def __init__(
        self,
        normalisation: Normalisation,
        images: np.ndarray,
        batch: int = 500,
        *,
        shared: Network | None = None,
        first: str = "",
    ):
        self._batch = batch
        self._inputs = images
        skipped = 0
        if shared is not None:
            skipped = [stage.name for stage in shared.stages].index(first)
            front = jax.jit(partial(_run, slice(skipped), normalisation), static_argnums=0)
            self._inputs = self._by_batches(partial(front, *nnx.split(shared)))
        prepare: Prepare = normalisation if shared is None else jnp.asarray
        self._ask = jax.jit(partial(_classes, slice(skipped, None), prepare), static_argnums=0)

    def __call__(self, network: Network) -> np.ndarray:
        """``int32[n]``: the class of the largest logit, the first of equals."""
        return self._by_batches(partial(self._ask, *nnx.split(network)))

    def compile(self, network: Network) -> None:
        """Make the program that such networks share, so that none is timed with it."""
        self._ask(*nnx.split(network), self._inputs[: self._batch]).block_until_ready()

    def _by_batches(self, program: partial[jax.Array]) -> np.ndarray:
        starts = range(0, len(self._inputs), self._batch)
        return np.concatenate([np.asarray(program(self._inputs[i : i + self._batch])) for i in starts])


def _run(stages: slice, prepare: Prepare, graph: nnx.GraphDef, state: nnx.State, inputs: jax.Array) -> jax.Array:
    with jax.default_matmul_precision("highest"):
        return run_chain(nnx.merge(graph, state).stages[stages], prepare(inputs))


def _classes(
    stages: slice, prepare: Prepare, graph: nnx.GraphDef, state: nnx.State, inputs: jax.Array
) -> jax.Array:
    return jnp.argmax(_run(stages, prepare, graph, state, inputs), axis=-1).astype(jnp.int32)
