"""StableHLO through ``jax.export``: one file for CPU, NVIDIA GPU and TPU that needs JAX alone.

The program holds each backend's lowering of the convolutions, and the weights once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import export, lax

from models.export import description
from models.export.contract import Predict
from models.lowering.choice import traced_for
from models.model_directory import Model

FILE = "model.stablehlo"
_SOURCE_LINES = "jax_traceback_in_locations_limit"
PLATFORMS = ("cpu", "cuda", "tpu")


class StableHLO:
    """See :class:`models.export.contract.Format`."""

    name = "stablehlo"

    def runtime(self) -> str:
        """JAX, without our code."""
        return f"jax.export {jax.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        graph, state = nnx.split(model.network)

        def lowered(backend: str) -> Callable[[Any, jax.Array], jax.Array]:
            def forward(state: Any, images: jax.Array) -> jax.Array:
                with traced_for(backend):
                    return nnx.merge(graph, state)(images)

            return forward

        def logits(images: jax.Array) -> jax.Array:
            return lax.platform_dependent(state, images, cpu=lowered("cpu"), default=lowered("gpu"))

        (batch,) = export.symbolic_shape("batch")
        shape = (batch, *model.network.architecture.input_shape)
        with _without_source_lines():
            traced = export.export(jax.jit(logits), platforms=PLATFORMS)
            exported = traced(jax.ShapeDtypeStruct(shape, np.float32))
        described = description.describe(model, self.name, FILE, platforms=list(PLATFORMS))
        return {FILE: bytes(exported.serialize()), description.DESCRIPTION: described}

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        described = description.read(directory)
        exported = export.deserialize(bytearray((directory / FILE).read_bytes()))
        return lambda images: np.asarray(exported.call(description.normalised(described, images)))


@contextmanager
def _without_source_lines() -> Iterator[None]:
    """Keep JAX from recording the source file of each operation, a path of the exporting machine."""
    before = getattr(jax.config, _SOURCE_LINES)
    jax.config.update(_SOURCE_LINES, 0)
    try:
        yield
    finally:
        jax.config.update(_SOURCE_LINES, before)
