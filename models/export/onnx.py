"""ONNX: one file for ONNX Runtime and other readers, also on edge devices.

jax2onnx 0.17 does not serve: it patches Flax's modules while it traces, which fails with our dropout layers,
takes 20 s for a network of four layers and brings fifteen packages. The fastest form of a stage traces to a
handful of primitives, which :mod:`models.export.onnx_program` writes in ONNX.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from models.arrays import stage_arrays
from models.errors import ExportError
from models.export import description
from models.export.contract import Predict
from models.lowering.choice import traced_for
from models.model_directory import Model
from models.onnx.architecture import ONNXArchitecture


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
                "`format` onnx needs the packages onnx and onnxruntime; install them with "
                "pip install 'evoprune[onnx]'."
            ) from None
        return f"ONNX Runtime {onnxruntime.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        from models.export import onnx_original
        from models.export.onnx_program import write

        if isinstance(model.network.architecture, ONNXArchitecture):
            return onnx_original.files(model)
        with traced_for("gpu"):
            # A GPU's lowering is the plainest: batch norm is folded and convolutions are whole.
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
            description.ONNX_FILE: write(program, description.INPUT, description.OUTPUT, properties),
            description.DESCRIPTION: description.describe(model, self.name, description.ONNX_FILE),
        }

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        import onnxruntime

        from models.export import onnx_original

        described = description.read(directory)
        if onnx_original.LOGITS in described:
            return onnx_original.load(directory)
        session = onnxruntime.InferenceSession(
            directory / description.ONNX_FILE, providers=["CPUExecutionProvider"]
        )

        def predict(images: np.ndarray) -> np.ndarray:
            inputs = {description.INPUT: description.normalised(described, images)}
            return np.asarray(session.run([description.OUTPUT], inputs)[0])

        return predict
