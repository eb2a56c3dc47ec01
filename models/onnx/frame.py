"""The frame of an ONNX file: everything but its weights, and the file again from a frame and smaller weights."""

import base64
import zlib
from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from models.axes import extent
from models.onnx.graph import Graph
from models.onnx.module import SHAPED
from models.onnx.operators.normalisation import FOLDED_NORM
from models.onnx.operators.shapes import cut_of_name
from models.tracing.analysis import Dependencies
from models.tracing.groups import Cut


def frame_of(model: Any, arrays: Mapping[str, Any]) -> str:
    """An ``onnx.ModelProto`` without the numbers of ``arrays``, by name, as text."""
    frame = type(model)()
    frame.CopyFrom(model)
    for tensor in _tensors(frame, arrays).values():
        _empty(tensor)
    return _closed(frame)


def _closed(model: Any) -> str:
    return base64.b64encode(zlib.compress(model.SerializeToString(deterministic=True), 9)).decode()


def opened(frame: str) -> Any:
    """The ``onnx.ModelProto`` of a frame."""
    import onnx

    return onnx.load_model_from_string(zlib.decompress(base64.b64decode(frame)))


def rewired(frame: str, instead: Mapping[str, str], gathered: Mapping[str, tuple[str, np.ndarray, int]]) -> str:
    """The frame of a graph that computes some values in another way.

    Args:
        frame: from :func:`frame_of`.
        instead: name of a value -> the value that its readers read instead.
        gathered: name of a value -> the value that it is gathered from, the indices and the axis.
    """
    model = opened(frame)
    nodes = []
    for node in model.graph.node:
        if any(output in gathered for output in node.output):
            nodes += [gather_node(model.graph, *gathered[output], output) for output in node.output]
        else:
            node.input[:] = [instead.get(name, name) for name in node.input]
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused(model.graph)
    # Inferred shapes of values that may be gone.
    del model.graph.value_info[:]
    return _closed(model)


def model_of(
    graph: Graph, weights: Mapping[str, np.ndarray], whole: Dependencies, widths: Mapping[str, int]
) -> Any:
    """The file of a frame as an ``onnx.ModelProto``, with other weights.

    Shapes that depend on the number of channels fit the weights; everything else is as it was.

    Args:
        graph: of the whole network.
        weights: path -> array, smaller where channels are removed.
        whole: the dependencies of the whole network.
        widths: channels of each group that are left.
    """
    import onnx

    model = opened(graph.frame)
    weights = _with_folded_norms(graph, weights)
    for name, tensor in _tensors(model, graph.arrays).items():
        array = graph.arrays[name]
        filled = onnx.numpy_helper.from_array(weights[array.path].astype(array.dtype), tensor.name)
        tensor.CopyFrom(filled)
    sizes = whole.sizes
    if any(widths[name] != size for name, size in sizes.items()):
        _mend_groups(model, graph, weights)
        _mend_shapes(model, whole, widths)
        _mend_cuts(model, whole, widths)
        drop_unused(model.graph)
        # Inferred shapes of the whole network; runtimes infer them anew.
        del model.graph.value_info[:]
    return model


def _with_folded_norms(graph: Graph, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights whose kernels and biases have taken up the folded norms, which the file does not have."""
    made = {node.outputs[0]: node for node in graph.nodes}
    found = dict(weights)
    for node in graph.nodes:
        if node.operator == FOLDED_NORM:
            names = (*made[node.inputs[0]].inputs[1:3], *node.inputs[1:3])
            kernel, bias, mean, variance = (graph.arrays[name].path for name in names)
            deviation = np.sqrt(weights[variance].astype(np.float64))
            by_filter = deviation.reshape(-1, *[1] * (weights[kernel].ndim - 1))
            found[kernel] = (weights[kernel] / by_filter).astype(np.float32)
            found[bias] = ((weights[bias] - weights[mean]) / deviation).astype(np.float32)
    return found


def _mend_groups(model: Any, graph: Graph, weights: Mapping[str, np.ndarray]) -> None:
    """A grouped convolution has as many filters in each group as before."""
    for node in model.graph.node:
        array = graph.arrays.get(node.input[1]) if node.op_type == "Conv" else None
        if array is None:
            continue
        for attribute in node.attribute:
            if attribute.name == "group" and attribute.i > 1:
                attribute.i = attribute.i * weights[array.path].shape[0] // array.shape[0]


def _mend_shapes(model: Any, whole: Dependencies, widths: Mapping[str, int]) -> None:
    """Give each node whose result has another shape than before the extents that it has now as second input."""
    import onnx

    nodes = []
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    for node in model.graph.node:
        axes = whole.found.named.get(node.output[0], ()) if node.op_type in SHAPED else ()
        before, after = (np.array([extent(axis, sizes) for axis in axes]) for sizes in (whole.sizes, widths))
        if (before != after).any():
            name, changed = f"{node.output[0]}.shape", before != after
            if node.input[1] in constants:
                written = onnx.numpy_helper.to_array(constants[node.input[1]])
                # Expand may be given fewer extents than its result has.
                written = np.concatenate([np.ones(len(after) - len(written), np.int64), written])
                # An extent that follows from the others, or is copied, also follows the number of images.
                added = {name: np.where(changed & (written > 0), after, written)}
            elif changed[0] and node.op_type == "Reshape":
                # Images and channels are one axis.
                added = {name: np.array([-1, *after[1:]])}
            else:
                # The other extents stay as the graph computes them: the batch, for one.
                added = {f"{name}.changed": changed, f"{name}.after": after}
                nodes.append(onnx.helper.make_node("Where", [*added, node.input[1]], [name], name=name))
            for part, array in added.items():
                model.graph.initializer.append(onnx.numpy_helper.from_array(array, part))
            node.input[1] = name
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _mend_cuts(model: Any, whole: Dependencies, widths: Mapping[str, int]) -> None:
    """Give each node that cuts channels the bounds that they have now: a ``Gather`` for each axis that is cut."""
    cuts: dict[str, dict[int, list[Cut]]] = {}
    for name, cut in whole.found.named_cuts.items():
        axis, output = cut_of_name(name)
        cuts.setdefault(output, {}).setdefault(axis, []).append(cut)
    nodes = []
    for node in model.graph.node:
        outputs = {output: cuts[output] for output in node.output if output in cuts}
        every = [cut for axes in outputs.values() for each in axes.values() for cut in each]
        if not any(_moved(cut, whole.sizes, widths) for cut in every):
            nodes.append(node)
            continue
        for output in node.output:
            value = node.input[0]
            for place, (axis, each) in enumerate(outputs[output].items(), 1):
                bounds = [(extent(cut.front, widths), extent(cut.taken, widths)) for cut in each]
                indices = np.concatenate([start + np.arange(length) for start, length in bounds])
                made = output if place == len(outputs[output]) else f"{output}.{axis}"
                nodes.append(gather_node(model.graph, value, indices, axis, made))
                value = made
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _moved(cut: Cut, sizes: Mapping[str, int], widths: Mapping[str, int]) -> bool:
    return any(extent(axis, sizes) != extent(axis, widths) for axis in (cut.front, cut.taken))


def gather_node(graph: Any, value: str, indices: np.ndarray, axis: int, output: str) -> Any:
    """A ``Gather`` from a value along an axis; its indices become an initializer of the graph."""
    import onnx

    taken = {tensor.name for tensor in graph.initializer}
    name = next(name for number in count() if (name := f"{output}.indices{number or ''}") not in taken)
    graph.initializer.append(onnx.numpy_helper.from_array(indices.astype(np.int64), name))
    return onnx.helper.make_node("Gather", [value, name], [output], name=f"{output}.gather", axis=axis)


def drop_unused(graph: Any) -> None:
    """Drop nodes and initializers that no result needs any more."""
    wanted = {entry.name for entry in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    arrays = [tensor for tensor in graph.initializer if tensor.name in wanted]
    inputs = [entry for entry in graph.input if entry.name in wanted]
    for field, left in ((graph.initializer, arrays), (graph.input, inputs)):
        del field[:]
        field.extend(left)


def _tensors(model: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """The ``TensorProto`` of each array, by name."""
    found = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in names}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] in names:
            found[node.output[0]] = node.attribute[0].t
    return found


def _empty(tensor: Any) -> None:
    for field in ("raw_data", "float_data", "int32_data", "double_data", "external_data", "data_location"):
        tensor.ClearField(field)
