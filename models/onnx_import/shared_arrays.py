"""Arrays that a file holds once for several layers, because their numbers are equal.

Exporters store equal arrays once: the biases of layers that all have none, the scales of norms that were never
trained. Each layer loses channels of its own, so each gets a copy of its own.
"""

from typing import Any

from models.onnx_import.paths import ROLES

_OF_CHANNELS = ("scale", "bias", "mean", "var", "slope")
"""Roles of arrays with one number for each channel."""


def separate(graph: Any) -> None:
    """Give each layer of an ``onnx.GraphProto`` its own copies of arrays with one number for each channel.

    Layers that share their kernel are one layer that is used several times; they share on.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    results = {entry.name for entry in graph.output}
    taken = {*tensors, *(entry.name for entry in graph.input)}
    taken.update(name for node in graph.node for name in node.output)

    def copied(name: str, new: str) -> None:
        tensors[new] = graph.initializer.add()
        tensors[new].CopyFrom(tensors[name])
        tensors[new].name = new
        taken.add(new)

    nodes, used = [], set()
    for node in graph.node:
        # Another name for an array, as PyTorch's older exporter writes it.
        if node.op_type == "Identity" and node.input[0] in tensors and node.output[0] not in results:
            copied(node.input[0], node.output[0])
            continue
        nodes.append(node)
        roles = ROLES.get(node.op_type, ())
        inputs = list(zip(roles, node.input, strict=False))
        shares_kernel = any(role == "kernel" and name in used for role, name in inputs)
        for place, (role, name) in enumerate(inputs):
            tensor = tensors.get(name)
            if tensor is None:
                continue
            if name in used and role in _OF_CHANNELS and len(tensor.dims) == 1 and not shares_kernel:
                own = f"{node.output[0]}.{role}"
                while own in taken:
                    own += "_"
                copied(name, own)
                node.input[place] = own
            used.add(name)
    if len(nodes) < len(graph.node):
        del graph.node[:]
        graph.node.extend(nodes)
