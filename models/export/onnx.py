"""ONNX: one file for ONNX Runtime and what else reads it, on edge devices too.

jax2onnx 0.17 was tried first: it patches Flax's modules while it traces, which our dropout layers break, takes
20 s for a network of four layers and brings fifteen packages. What a stage's fastest form traces to is a
handful of primitives, which :mod:`models.export.onnx_program` says in ONNX.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from models.backend import traced_for
from models.errors import ExportError
from models.export import description
from models.export.contract import Predict
from models.state import stage_arrays
from models.store import Model

FILE = "model.onnx"


class ONNX:
    """See :class:`models.export.contract.Format`."""

    name = "onnx"

    def runtime(self) -> str:
        """ONNX Runtime."""
        try:
            import onnx  # noqa: F401
            import onnxruntime
        except ImportError:
            raise ExportError(
                "--format onnx needs the packages onnx and onnxruntime; install them with "
                "pip install 'evoprune[onnx]'."
            ) from None
        return f"ONNX Runtime {onnxruntime.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        from models.export.onnx_program import write

        with traced_for("gpu"):
            # Batch norm is folded and convolutions are whole: a GPU's lowering is the plainest.
            stages = list(model.network.stages)
            prepared = [stage.prepare(stage_arrays(stage), jnp.float32) for stage in stages]

            def logits(images: jax.Array) -> jax.Array:
                for stage, weights in zip(stages, prepared, strict=True):
                    images = stage.evaluate(weights, images, {})
                return images

            (batch,) = export.symbolic_shape("batch")
            shape = (batch, *model.network.architecture.input_shape)
            program = jax.jit(logits).trace(jax.ShapeDtypeStruct(shape, np.float32)).jaxpr
        properties = {
            "classes": json.dumps(model.classes),
            **{key: json.dumps(value) for key, value in model.normalisation.to_json().items()},
        }
        return {
            FILE: write(program, description.INPUT, description.OUTPUT, properties),
            description.DESCRIPTION: description.describe(model, self.name, FILE),
        }

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        import onnxruntime

        described = description.read(directory)
        session = onnxruntime.InferenceSession(directory / FILE, providers=["CPUExecutionProvider"])

        def predict(images: np.ndarray) -> np.ndarray:
            inputs = {description.INPUT: description.normalised(described, images)}
            return np.asarray(session.run([description.OUTPUT], inputs)[0])

        return predict
