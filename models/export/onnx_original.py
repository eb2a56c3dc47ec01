"""A network that came as ONNX goes back as the same file, smaller: names, version, metadata and pre- and
post-processing are kept.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.arrays import stage_arrays
from models.errors import ExportError
from models.export import description
from models.export.contract import Predict
from models.model_directory import Model
from models.onnx.architecture import ONNXArchitecture, dependencies_of
from models.onnx.frame import model_of

LOGITS = "logits"
"""The entry of ``export.json`` with the name of the value that holds the logits."""


def files(model: Model) -> dict[str, bytes]:
    """The file and its description."""
    import onnx

    architecture = model.network.architecture
    assert isinstance(architecture, ONNXArchitecture)
    graph = architecture.graph
    weights: dict[str, np.ndarray] = {}
    for stage in model.network.stages:
        for path, array in stage_arrays(stage).items():
            kind, _, name = path.partition(".")
            if kind == "arrays":
                weights[name] = np.asarray(array)
    whole = dependencies_of(graph, architecture.input_shape)
    widths = {group.name: group.size for group in model.network.filter_groups}
    written = model_of(graph, weights, whole, widths)
    try:
        onnx.checker.check_model(written, full_check=True)
    # The checker and its shape inference have errors of their own.
    except Exception as error:
        raise _invalid(error) from error
    described = description.describe(
        model,
        "onnx",
        description.ONNX_FILE,
        layout="NHWC" if graph.channels_last else "NCHW",
        names=(graph.input, written.graph.output[0].name),
        **{LOGITS: graph.output},
    )
    return {description.ONNX_FILE: written.SerializeToString(), description.DESCRIPTION: described}


def load(directory: Path) -> Predict:
    """The network as ONNX Runtime reads it; the logits are made a result beside those that the file has."""
    import onnx
    import onnxruntime

    described = description.read(directory)
    model = onnx.load(directory / description.ONNX_FILE)
    names = [entry.name for entry in model.graph.output]
    if described[LOGITS] not in names:
        model.graph.output.append(onnx.ValueInfoProto(name=described[LOGITS]))
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _invalid(error) from error
    port = session.get_inputs()[0]
    batch = port.shape[0] if isinstance(port.shape[0], int) and port.shape[0] > 0 else None
    dtype = np.float16 if "float16" in port.type else np.float32

    def predict(images: np.ndarray) -> np.ndarray:
        inputs = description.normalised(described, images).astype(dtype)
        try:
            found = [session.run([described[LOGITS]], {port.name: part})[0] for part in _batches(inputs, batch)]
        except Exception as error:
            raise _invalid(error) from error
        return np.concatenate(found)[: len(images)].reshape(len(images), -1).astype(np.float32)

    return predict


def _invalid(error: Exception) -> ExportError:
    """The sentence for a file that cannot run: some node holds a number of channels that nothing here follows."""
    reason = str(error).strip().splitlines()[0]
    return ExportError(
        f"`format` onnx cannot write this network smaller, because the file does not run any more ({reason}); "
        "export it with `format` native or stablehlo."
    )


def _batches(inputs: np.ndarray, batch: int | None) -> Sequence[np.ndarray]:
    """Inputs in batches of a fixed size, the last one filled up with copies of the last image."""
    if batch is None:
        return [inputs]
    missing = -len(inputs) % batch
    whole = np.concatenate([inputs, np.repeat(inputs[-1:], missing, axis=0)])
    return np.split(whole, len(whole) // batch)
