"""Puts back, as norms that change nothing, the batch norms that an exporter folded into convolutions.

PyTorch's exporters fold a batch norm into the convolution in front of it: one kernel and one bias are left.
Nothing tells them from a kernel and a bias that were trained. Behind each such convolution comes a mean of 0 and
a variance of 1 for each channel. Recalibration measures both for a pruned network, as those of a stored batch
norm (:mod:`models.compensation.recalibration`), and an export folds both in again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from models.onnx.graph import Array, Graph, Node
from models.onnx.operators.normalisation import FOLDED_NORM
from models.onnx_import.reading import Read
from models.onnx_import.values import values_of

_NORMS = ("BatchNormalization", "InstanceNormalization")


def with_folded_norms(read: Read, input_shape: tuple[int, int, int]) -> tuple[Read, int]:
    """The same network with a norm behind each convolution that may hold one, and how many there are.

    Args:
        read: a file.
        input_shape: height, width and channels of the images.

    Raises:
        DependencyError: the graph cannot be run.
    """
    graph = read.graph
    behind = {node.outputs[0] for node in _candidates(graph, input_shape)}
    nodes: list[Node] = []
    arrays, weights = dict(graph.arrays), dict(read.weights)
    for node in graph.nodes:
        if node.outputs[0] not in behind:
            nodes.append(node)
            continue
        output, shape = node.outputs[0], graph.arrays[node.inputs[2]].shape
        (raw, *names), paths = _new_names(graph, node)
        for name, path, value in zip(names, paths, (0, 1), strict=True):
            arrays[name] = Array(path, shape, trained=False)
            weights[path] = np.full(shape, value, np.float32)
        nodes.append(replace(node, outputs=(raw, *node.outputs[1:])))
        nodes.append(Node(FOLDED_NORM, f"{node.name or output}.norm", (raw, *names), (output,)))
    found = replace(graph, nodes=tuple(nodes), arrays=arrays)
    return read._replace(graph=found, weights=weights), len(behind)


def _new_names(graph: Graph, node: Node) -> tuple[list[str], list[str]]:
    """The values of a norm behind a convolution (its input, mean and variance), and the paths of its arrays."""
    layer = graph.arrays[node.inputs[2]].path.rpartition(".")[0]
    values = [f"{node.outputs[0]}.{part}" for part in ("raw", "mean", "variance")]
    return values, [f"{layer}.mean", f"{layer}.var"]


def _candidates(graph: Graph, input_shape: tuple[int, int, int]) -> Iterator[Node]:
    """Convolutions that alone read their kernel and bias, and that no norm follows.

    Not one of a single position, as in squeeze-and-excitation, where networks have no norm. Not one where the
    file has a name that the norm would need.
    """
    convolutions = [node for node in graph.nodes if node.operator == "Conv" and len(node.inputs) == 3]
    if not convolutions:
        return
    values = values_of(graph, input_shape)
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    used = {array.path for array in graph.arrays.values()}
    normed = {node.inputs[0] for node in graph.nodes if node.operator in _NORMS}
    for node in convolutions:
        output = node.outputs[0]
        stored = all(name in graph.arrays and uses[name] == 1 for name in node.inputs[1:])
        positions = int(np.prod(values[output].shape[2:]))
        names, paths = _new_names(graph, node) if stored else ([], [])
        free = values.keys().isdisjoint(names) and used.isdisjoint(paths)
        if stored and free and output not in normed and output != graph.output and positions > 1:
            yield node
