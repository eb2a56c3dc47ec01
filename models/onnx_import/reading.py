"""Reads an ONNX file: checks it, and takes it apart into a graph and its weights. Nothing in it is executed."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models import git_lfs
from models.errors import StoreError
from models.onnx.frame import drop_unused, frame_of
from models.onnx.graph import Array, Constant, Graph, Node
from models.onnx.operators.registry import OPERATORS
from models.onnx_import.paths import STATISTICS, array_paths
from models.onnx_import.shared_arrays import separate

OLDEST_OPSET = 7
LARGEST_FILE = 2**31
"""Bytes; protobuf reads no larger message."""
_LAST = ("Softmax", "LogSoftmax", "ArgMax", "Identity", "Cast")
"""Operations behind the logits that keep the order of the classes."""
_FLOATS = ("float16", "float32", "float64", "bfloat16")


class Port(NamedTuple):
    """The input of a graph: its name, and its extents, None where the file leaves them open."""

    name: str
    shape: tuple[int | None, ...]


class Read(NamedTuple):
    """A file taken apart.

    Attributes:
        graph: of the network, up to its logits.
        weights: path -> ``float32`` array.
        port: the input for images.
        ending: the operation behind the logits that is left out, such as ``Softmax``; empty if there is none.
        others: results of the file that need more than the logits; they are dropped.
    """

    graph: Graph
    weights: dict[str, np.ndarray]
    port: Port
    ending: str
    others: tuple[str, ...] = ()


def read_onnx(path: Path, *, output: str | None = None, whole: bool = False) -> Read:
    """Read a file.

    Args:
        path: of the file.
        output: name of the value that holds the logits, if the graph has several results.
        whole: keep a last softmax or argmax, which otherwise is left out.

    Raises:
        StoreError: the file is missing, damaged, no ONNX, or has an operation that is not known.
    """
    model = load_model(path)
    graph = model.graph
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise StoreError(
            f"{path} has opset {opset}; convert it to {OLDEST_OPSET} or later (onnx.version_converter)."
        )
    separate(graph)
    arrays = _arrays(path, graph)
    port = _port(path, graph, arrays)
    nodes = [_node(path, node) for node in graph.node if node.op_type != "Constant"]
    name, ending = _logits(path, graph, [] if whole else nodes, output)
    others = _dropped(graph, output, name, arrays)
    needed = list(_needed(path, nodes, name, {port.name, *arrays}))
    for node in needed:
        if node.operator not in OPERATORS:
            raise StoreError(
                f"{path} has the operation {node.title}, which is not known; export the network without it, or "
                "write the network as a Flax NNX module (docs/own-networks.md)."
            )
    used = {value for node in needed for value in node.inputs if value in arrays}
    constants = {value for value in used if _is_constant(arrays[value])}
    paths = array_paths(needed, [value for value in arrays if value in used - constants])
    weights, described = {}, {}
    for value, (place, role) in paths.items():
        array = arrays[value]
        if not np.isfinite(array).all():
            raise StoreError(f"{path}: {value!r} holds NaN or infinity; export the weights anew.")
        weights[place] = np.asarray(array, np.float32)
        described[value] = Array(place, array.shape, array.dtype.name, role not in STATISTICS)
    batch = port.shape[0] if port.shape[0] != 1 else None
    channels_last = _channels_last(port, needed)
    fixed = {value: Constant.of(arrays[value]) for value in arrays if value in constants}
    found = Graph(
        opset, port.name, channels_last, name, batch, tuple(needed), described, fixed, frame_of(model, described)
    )
    return Read(found, weights, port, ending, others)


def load_model(path: Path) -> Any:
    """The ``onnx.ModelProto`` of a file, with its external data, checked.

    Raises:
        StoreError: the file is missing, too large, damaged or no ONNX; or the package ``onnx`` is missing.
    """
    try:
        import onnx
        from onnx.external_data_helper import load_external_data_for_model
    except ImportError:
        raise StoreError(
            f"{path} needs the package onnx to be read; install it with pip install 'evoprune[onnx]'."
        ) from None
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise StoreError(f"{path} has {size:,} bytes; store its weights as external data.")
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path} is missing; give an .onnx file.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    if git_lfs.is_pointer(content):
        raise StoreError(f"{path} {git_lfs.REMEDY}")
    try:
        model = onnx.load_model_from_string(content)
    # A damaged message ends in any of several errors of protobuf.
    except Exception as error:
        raise StoreError(f"{path} is no ONNX file, or is damaged; export the network anew.") from error
    if not model.graph.node:
        raise StoreError(f"{path} is no ONNX file, or is empty; export the network anew.")
    try:
        load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    # The checker and the reader of external data have errors of their own.
    except Exception as error:
        raise StoreError(f"{path} is not a valid ONNX file: {_first_sentence(error)}") from error
    return model


def _first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0].rstrip('.')}." if lines else f"{type(error).__name__}."


def _arrays(path: Path, graph: Any) -> dict[str, np.ndarray]:
    """All arrays that the file holds, by the name of the value: initializers and results of ``Constant``."""
    from onnx import numpy_helper

    if graph.sparse_initializer:
        raise StoreError(f"{path} holds sparse weights; export the network with dense weights.")
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = _constant(path, node)
    return found


def _constant(path: Path, node: Any) -> np.ndarray:
    from onnx import helper, numpy_helper

    [attribute] = node.attribute
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise StoreError(f"{path} has a Constant with {attribute.name}; export the network with dense numbers.")


def _is_constant(array: np.ndarray) -> bool:
    """Integers, and single numbers without a channel."""
    return array.dtype.name not in _FLOATS or array.size <= 1


def _node(path: Path, node: Any) -> Node:
    from onnx import AttributeProto, helper, numpy_helper

    if node.domain not in ("", "ai.onnx"):
        raise StoreError(
            f"{path} has the operation {node.op_type} of {node.domain}; export with ONNX's own only."
        )
    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            raise StoreError(
                f"{path} branches or loops ({node.op_type} {node.name!r}); export a network without control flow."
            )
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            array = numpy_helper.to_array(value)
            value = array.ravel()[0].item() if array.size == 1 else array.tolist()
        elif attribute.type == AttributeProto.STRING:
            value = value.decode()
        elif attribute.type == AttributeProto.STRINGS:
            value = [text.decode() for text in value]
        elif not isinstance(value, int | float):
            value = list(value)
        attributes[attribute.name] = value
    if node.op_type == "Cast":
        attributes["to"] = helper.tensor_dtype_to_np_dtype(attributes["to"]).name
    return Node(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes)


def _port(path: Path, graph: Any, arrays: dict[str, np.ndarray]) -> Port:
    inputs = [entry for entry in graph.input if entry.name not in arrays]
    if len(inputs) != 1:
        named = ", ".join(repr(entry.name) for entry in inputs) or "none"
        raise StoreError(f"{path} must have one input, the images, and has {named}.")
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in (1, 10):
        raise StoreError(f"{path} takes images that are not float32 or float16; export it with such an input.")
    shape = tuple(
        entry.dim_value if entry.HasField("dim_value") and entry.dim_value > 0 else None
        for entry in kind.shape.dim
    )
    if len(shape) != 4:
        raise StoreError(f"{path} takes an input of {len(shape)} axes; images have four.")
    return Port(inputs[0].name, shape)


def _logits(path: Path, graph: Any, nodes: list[Node], output: str | None) -> tuple[str, str]:
    """The value with the logits, and the operation behind it that is left out."""
    results = [entry.name for entry in graph.output]
    if output is not None and output not in results:
        raise StoreError(f"`output` {output} is not a result of {path}; it has {', '.join(results)}.")
    if output is None and len(results) > 1:
        raise StoreError(f"{path} has the results {', '.join(results)}; name the logits by `output`.")
    name = output or results[0]
    makers = {made: node for node in nodes for made in node.outputs}
    ending = ""
    while name in makers and makers[name].operator in _LAST:
        node = makers[name]
        ending = node.operator if node.operator not in ("Identity", "Cast") else ending
        name = node.inputs[0]
    return name, ending


def _dropped(graph: Any, output: str | None, logits: str, arrays: Collection[str]) -> tuple[str, ...]:
    """Drop the results that need more than the logits, such as features: a smaller network has other ones."""
    # An input that is left out has an empty name.
    behind = {"", logits, *arrays}
    for node in graph.node:
        if all(name in behind for name in node.input):
            behind.update(node.output)
    others = [entry for entry in graph.output if entry.name not in behind and entry.name != output]
    if len(others) == len(graph.output):
        return ()
    for entry in others:
        graph.output.remove(entry)
    drop_unused(graph)
    return tuple(entry.name for entry in others)


def _needed(path: Path, nodes: list[Node], output: str, given: Iterable[str]) -> Iterator[Node]:
    """The nodes that the output needs, in order.

    Raises:
        StoreError: a value is used before it is made, or never made.
    """
    wanted = {output}
    chosen = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            chosen.append(node)
            wanted.update(node.inputs)
    known = {"", *given}
    for node in reversed(chosen):
        for value in node.inputs:
            if value not in known:
                raise StoreError(
                    f"{path} is damaged: node {node.title} reads {value!r}, which nothing makes before it."
                )
        known.update(node.outputs)
        yield node
    if output not in known:
        raise StoreError(f"{path} is damaged: nothing makes its result {output!r}.")


def _channels_last(port: Port, nodes: Iterable[Node]) -> bool:
    """Whether images are NHWC: the last extent is 1 or 3, the second is not, or the image is transposed first."""
    _, second, _, last = port.shape
    if second in (1, 3):
        return False
    if last in (1, 3):
        return True
    first = next((node for node in nodes if port.name in node.inputs), None)
    return first is not None and first.operator == "Transpose"
