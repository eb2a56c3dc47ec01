"""From an ONNX file to a model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.errors import NetworkError, StoreError
from models.imported import ImportedNetwork, imported
from models.normalisation import Normalisation
from models.onnx.architecture import ONNXArchitecture, dependencies_of
from models.onnx_import.folded_norms import with_folded_norms
from models.onnx_import.reading import Port, Read, read_onnx
from models.onnx_import.shuffles import without_shuffles
from models.tracing.network import TracedNetwork


def import_onnx(
    path: Path,
    normalisation: Normalisation,
    *,
    name: str = "imported",
    classes: tuple[str, ...] | None = None,
    input_size: tuple[int, int] | None = None,
    output: str | None = None,
) -> ImportedNetwork:
    """The network of an ONNX file.

    Args:
        path: of the file.
        normalisation: of the images.
        name: of the architecture.
        classes: names of the classes, in the order of the outputs; the model knows none if not given.
        input_size: height and width of the images, where the file leaves them open.
        output: name of the result that holds the logits, if the graph has several.

    Raises:
        StoreError: the file cannot be read, or its graph cannot be run.
    """
    read = read_onnx(path, output=output)
    shape = _input_shape(path, read.port, read.graph.channels_last, input_size, len(normalisation.mean))
    try:
        read, folded = with_folded_norms(without_shuffles(read, shape), shape)
        count = dependencies_of(read.graph, shape).trace.program.out_avals[0].shape[1]
        network = ONNXArchitecture(name, shape, count, read.graph).blank()
    except NetworkError as error:
        raise StoreError(f"{path}: {error}") from error
    if count < 2:
        raise StoreError(f"{path} has one output, and a classifier has one for each class, two or more.")
    arrays = {}
    for stage in network.stages:
        for variable in stage.specs():
            kind, _, array = variable.partition(".")
            whole = read.weights[array] if kind == "arrays" else np.ones(stage.present[array].get_value().shape)
            arrays[f"{stage.name}.{variable}"] = whole
    return imported(path, network, arrays, normalisation, classes, _assumed(read, folded, network))


def _assumed(read: Read, folded: int, network: TracedNetwork) -> Iterator[str]:
    if read.ending:
        yield f"the logits are the input of the last {read.ending}, which an export keeps"
    if read.others:
        yield (
            f"an export leaves out the results {', '.join(read.others)}, which need more than the logits, by "
            "which masks are judged"
        )
    if folded:
        yield (
            f"{folded} convolutions with a bias may hold batch norms that an exporter folded in, and are "
            "recalibrated; if the network never had any, search with `compensate` linear"
        )
    for layer in network.left_whole:
        yield str(layer)


def _input_shape(
    path: Path, port: Port, channels_last: bool, size: tuple[int, int] | None, given: int
) -> tuple[int, int, int]:
    """Height, width and channels of the images.

    Raises:
        StoreError: the file and the options contradict each other, or leave the size open.
    """
    _, *extents = port.shape
    height, width, channels = extents if channels_last else [*extents[1:], extents[0]]
    if channels is not None and channels != given:
        raise StoreError(f"`mean` and `std` have {given} numbers and {path} takes {channels} channels.")
    if size is not None:
        for asked, fixed in zip(size, (height, width), strict=True):
            if fixed is not None and asked != fixed:
                raise StoreError(
                    f"`input_size` {size[0]}x{size[1]} does not fit {path}: it takes {height}x{width}."
                )
        height, width = size
    if height is None or width is None:
        raise StoreError(f"{path} leaves the size of its images open; give `input_size`.")
    return height, width, given
