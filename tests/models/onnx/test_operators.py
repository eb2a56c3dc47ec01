"""Each operation against ONNX Runtime."""

import numpy as np
import pytest

from models.errors import DependencyError
from models.onnx.module import GraphModule
from models.onnx_import.reading import read_onnx

helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

from tests.models.support.onnx_graphs import runtime_logits, written  # noqa: E402

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*numbers):
    return np.array(numbers, np.int64)


# Title -> operation, further inputs, attributes, opset; the first input is the image, [1, 3, 8, 8] or as given.
CASES = {
    "conv": ("Conv", [floats(4, 3, 3, 3), floats(4)], {"pads": [1, 1, 1, 1]}, 17),
    "conv strided": ("Conv", [floats(4, 3, 3, 2)], {"strides": [2, 1], "pads": [1, 0, 0, 1]}, 17),
    "conv dilated": ("Conv", [floats(4, 3, 3, 3)], {"dilations": [2, 2], "pads": [1, 0, 2, 1]}, 17),
    "conv same lower": ("Conv", [floats(4, 3, 2, 2)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, 17),
    "conv valid": ("Conv", [floats(4, 3, 3, 3)], {"auto_pad": "VALID"}, 11),
    "conv in groups": ("Conv", [floats(6, 1, 3, 3), floats(6)], {"group": 3}, 17),
    "batch norm": (
        "BatchNormalization",
        [floats(3), floats(3), floats(3), floats(3) ** 2 + 0.1],
        {"epsilon": 1e-3},
        15,
    ),
    "old batch norm": ("BatchNormalization", [floats(3), floats(3), floats(3), floats(3) ** 2 + 0.1], {}, 9),
    "instance norm": ("InstanceNormalization", [floats(3), floats(3)], {}, 17),
    "layer norm": ("LayerNormalization", [floats(8), floats(8)], {"axis": -1, "epsilon": 1e-3}, 17),
    "layer norm of several axes": ("LayerNormalization", [floats(3, 8, 8)], {"axis": 1}, 17),
    "max pool": ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}, 12),
    "max pool padded": ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, 12),
    "max pool ceil": ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, 12),
    "max pool ceil padded": (
        "MaxPool",
        [],
        {"kernel_shape": [3, 3], "strides": [3, 3], "ceil_mode": 1, "pads": [0, 1, 0, 1]},
        12,
    ),
    "max pool dilated": ("MaxPool", [], {"kernel_shape": [2, 2], "dilations": [2, 2]}, 12),
    "average pool": ("AveragePool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, 11),
    "average pool with padding": (
        "AveragePool",
        [],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        11,
    ),
    "average pool same": ("AveragePool", [], {"kernel_shape": [3, 2], "auto_pad": "SAME_UPPER"}, 11),
    "global average": ("GlobalAveragePool", [], {}, 17),
    "global maximum": ("GlobalMaxPool", [], {}, 17),
    "local response": ("LRN", [], {"size": 3, "alpha": 0.1, "beta": 0.6, "bias": 1.5}, 17),
    "clip": ("Clip", [np.float32(-0.5), np.float32(0.7)], {}, 13),
    "clip from below": ("Clip", [np.float32(-0.5)], {}, 13),
    "old clip": ("Clip", [], {"min": 0.0, "max": 6.0}, 9),
    "slope": ("PRelu", [floats(3, 1, 1)], {}, 17),
    "leaky": ("LeakyRelu", [], {"alpha": 0.3}, 17),
    "elu": ("Elu", [], {"alpha": 0.7}, 17),
    "selu": ("Selu", [], {}, 17),
    "hard sigmoid": ("HardSigmoid", [], {"alpha": 0.3, "beta": 0.4}, 17),
    "hard swish": ("HardSwish", [], {}, 14),
    "erf": ("Erf", [], {}, 17),
    "softmax": ("Softmax", [], {"axis": 1}, 13),
    "old softmax": ("Softmax", [], {"axis": 1}, 11),
    "log softmax": ("LogSoftmax", [], {"axis": -1}, 13),
    "add channels": ("Add", [floats(3, 1, 1)], {}, 17),
    "add to columns": ("Add", [floats(8)], {}, 17),
    "divide": ("Div", [floats(1, 3, 1, 1) ** 2 + 1], {}, 17),
    "power": ("Pow", [np.float32(2)], {}, 17),
    "maximum": ("Max", [floats(3, 1, 8), np.float32(0.1)], {}, 17),
    "mean over places": ("ReduceMean", [], {"axes": [2, 3], "keepdims": 0}, 13),
    "mean over columns": ("ReduceMean", [], {"axes": [-1], "keepdims": 1}, 13),
    "mean over channels": ("ReduceMean", [whole(1)], {"keepdims": 0}, 18),
    "sum": ("ReduceSum", [whole(2)], {"keepdims": 0}, 13),
    "norm": ("ReduceL2", [], {"axes": [1], "keepdims": 0}, 13),
    "flatten": ("Flatten", [], {"axis": 1}, 17),
    "flatten late": ("Flatten", [], {"axis": -1}, 17),
    "reshape": ("Reshape", [whole(0, 3, -1)], {}, 17),
    "transpose": ("Transpose", [], {"perm": [0, 2, 1, 3]}, 17),
    "reverse": ("Transpose", [], {}, 17),
    "slice": ("Slice", [whole(1), whole(2**62), whole(-2), whole(2)], {}, 13),
    "slice backwards": ("Slice", [whole(-1), whole(-(2**62)), whole(3), whole(-1)], {}, 13),
    "old slice": ("Slice", [], {"starts": [1, 0], "ends": [3, -2], "axes": [1, 2]}, 9),
    "gather": ("Gather", [whole(2, 0)], {"axis": 1}, 17),
    "gather with repeats": ("Gather", [whole(-1, 2, 3, 3)], {"axis": 2}, 17),
    "gather one": ("Gather", [np.array(1)], {"axis": 2}, 17),
    "gather a table": ("Gather", [np.array([[0, 2], [-1, 1]])], {"axis": 1}, 17),
    "gather places": ("GatherND", [np.array([[[0, 1], [0, -1]], [[0, 0], [0, 2]]])], {}, 17),
    "pad": ("Pad", [whole(0, 0, 1, 2, 0, 0, 0, 1), np.float32(0.5)], {}, 13),
    "pad by reflection": ("Pad", [whole(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "reflect"}, 13),
    "pad that crops": ("Pad", [whole(0, 0, -1, 2, 0, 0, 1, -2), np.float32(0.5)], {}, 13),
    "remainder": ("Mod", [np.float32(0.7)], {"fmod": 1}, 13),
    "old pad": ("Pad", [], {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 0.5}, 9),
    "concatenate": ("Concat", [floats(1, 2, 8, 8)], {"axis": 1}, 17),
    "unsqueeze": ("Unsqueeze", [whole(0, -1)], {}, 13),
    "old unsqueeze": ("Unsqueeze", [], {"axes": [1]}, 11),
    "expand": ("Expand", [whole(2, 1, 1, 1, 8)], {}, 17),
    "cast": ("Cast", [], {"to": 1}, 17),
    "cast like": ("CastLike", [floats(1)], {}, 17),
    "softplus": ("Softplus", [], {}, 17),
    "mean of two": ("Mean", [floats(3, 8, 8)], {}, 17),
}


@pytest.mark.parametrize("title", CASES)
def test_an_operation_computes_what_onnx_runtime_computes(title, tmp_path):
    operation, more, attributes, opset = CASES[title]
    arrays = {f"input{place}": array for place, array in enumerate(more)}
    node = helper.make_node(operation, ["images", *arrays], ["result"], **attributes)
    shape = (1, 3, 8, 8)
    check_like_runtime(tmp_path, [node], arrays, shape, opset)


def test_blocks_of_channels_become_positions(tmp_path):
    for mode in ("DCR", "CRD"):
        node = helper.make_node("DepthToSpace", ["images"], ["result"], blocksize=2, mode=mode)
        check_like_runtime(tmp_path, [node], {}, (1, 8, 4, 4), 13)


def test_parts_of_a_split_are_cut_where_the_graph_says(tmp_path):
    nodes = [
        helper.make_node("Split", ["images", "sizes"], ["one", "other"], axis=1),
        helper.make_node("Concat", ["other", "one"], ["result"], axis=1),
    ]
    check_like_runtime(tmp_path, nodes, {"sizes": whole(1, 2)}, (1, 3, 8, 8), 13)


@pytest.mark.parametrize(
    ("indices", "attributes", "reason"),
    [
        ("constant", {"batch_dims": 1}, "its indices differ from image to image"),
        ("far", {}, "its indices are outside of"),
    ],
)
def test_places_that_cannot_be_gathered_are_refused(indices, attributes, reason, tmp_path):
    nodes = [helper.make_node("GatherND", ["images", indices], ["result"], **attributes)]
    arrays = {"constant": whole(0).reshape(1, 1), "far": whole(0, 3).reshape(1, 2)}
    path = written(tmp_path / "one.onnx", nodes, arrays, shape=(1, 3, 8, 8), outputs=[("result", ("numbers",))])
    read = read_onnx(path, whole=True)
    with pytest.raises(DependencyError, match=f"node GatherND 'result' cannot be run: {reason}"):
        GraphModule(read.graph, read.weights)(floats(1, 8, 8, 3))


def test_shapes_that_a_graph_computes_are_followed(tmp_path):
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["count"]),
        helper.make_node("Unsqueeze", ["count", "zero"], ["counts"]),
        helper.make_node("Concat", ["counts", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["images", "target"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["result"], transB=1, alpha=0.5, beta=2.0),
    ]
    arrays = {
        "first": np.array(0),
        "zero": whole(0),
        "rest": whole(-1),
        "weights": floats(5, 192),
        "bias": floats(5),
    }
    check_like_runtime(tmp_path, nodes, arrays, ("batch", 3, 8, 8), 13)


def check_like_runtime(tmp_path, nodes, arrays, shape, opset):
    nodes = [*nodes, helper.make_node("Reshape", ["result", "row"], ["flat result"])]
    outputs = [("flat result", (1, "numbers"))]
    path = written(
        tmp_path / "one.onnx", nodes, arrays | {"row": whole(1, -1)}, shape=shape, outputs=outputs, opset=opset
    )
    read = read_onnx(path, whole=True)
    images = floats(1, *shape[2:], shape[1])
    ours = np.asarray(GraphModule(read.graph, read.weights)(images))
    np.testing.assert_allclose(ours, runtime_logits(path, images), rtol=1e-5, atol=1e-5)
