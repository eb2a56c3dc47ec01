"""Small ONNX files, and ONNX Runtime as the oracle."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 5


def written(
    path, nodes, arrays, *, shape=("batch", 3, 8, 8), outputs=(("logits", ("batch", CLASSES)),), opset=17, **more
):
    """Write a file whose images are called ``images``; arrays are initializers by name."""
    ports = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, extents) for name, extents in outputs]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "graph", ports, results, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **more)
    onnx.save(model, path)
    return path


def runtime_logits(path, images, result=None, order=(0, 3, 1, 2)):
    """ONNX Runtime's result for ``float32[n, height, width, channels]`` images, one at a time.

    ``order``: of their axes in the file.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = [session.run(result and [result], {name: image[None].transpose(order)})[0] for image in images]
    return np.stack([array.reshape(-1) for array in found])
