"""Damaged and hostile ONNX files: one sentence each."""

import numpy as np
import pytest

helper = pytest.importorskip("onnx.helper")

import onnx  # noqa: E402

from models.errors import StoreError  # noqa: E402
from models.normalisation import Normalisation  # noqa: E402
from models.onnx_import.importing import import_onnx  # noqa: E402
from tests.models.support.onnx_graphs import written  # noqa: E402

KERNEL = np.ones((4, 3, 8, 8), np.float32)


def classifier(kernel=KERNEL, **attributes):
    conv = helper.make_node("Conv", ["images", "kernel"], ["a"], name="first", **attributes)
    return [conv, helper.make_node("Flatten", ["a"], ["logits"])], {"kernel": kernel}


def save_unchecked(path, nodes, arrays, **more):
    return written(path, nodes, arrays, outputs=[("logits", ("batch", 4))], **more)


def cycle(path):
    nodes, arrays = classifier()
    nodes[0].input[0] = "b"
    nodes.append(helper.make_node("Relu", ["a"], ["b"]))
    return save_unchecked(path, nodes, arrays)


def missing_value(path):
    nodes, arrays = classifier()
    return save_unchecked(path, nodes[1:], arrays)


def unknown_operation(path):
    nodes, arrays = classifier()
    nodes[1] = helper.make_node("NonZero", ["a"], ["logits"], name="last")
    return save_unchecked(path, nodes, arrays)


def foreign_operation(path):
    nodes, arrays = classifier()
    nodes[0].domain = "com.somebody"
    return save_unchecked(path, nodes, arrays)


def not_finite(path):
    kernel = KERNEL.copy()
    kernel[0, 0, 0, 0] = np.nan
    return save_unchecked(path, *classifier(kernel))


def huge_shape(path):
    nodes, arrays = classifier()
    nodes[1:] = [
        helper.make_node("ConstantOfShape", ["extents"], ["huge"], name="bomb"),
        helper.make_node("Add", ["a", "huge"], ["b"]),
        helper.make_node("Flatten", ["b"], ["logits"]),
    ]
    return save_unchecked(path, nodes, arrays | {"extents": np.array([10**6, 10**6])})


def huge_padding(path):
    return save_unchecked(path, *classifier(pads=[10**6, 10**6, 10**6, 10**6]))


def wrong_channels(path):
    return save_unchecked(path, *classifier(np.ones((4, 2, 8, 8), np.float32)))


def two_images(path):
    nodes, arrays = classifier()
    save_unchecked(path, nodes, arrays)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("more", 1, (1, 3, 8, 8)))
    onnx.save(model, path)
    return path


def data_elsewhere(path):
    save_unchecked(path, *classifier())
    model = onnx.load(path)
    [tensor] = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    path.write_bytes(model.SerializeToString())
    (path.parent.parent / "secret.bin").write_bytes(KERNEL.tobytes())
    return path


def truncated(path):
    save_unchecked(path, *classifier())
    path.write_bytes(path.read_bytes()[:500])
    return path


def empty(path):
    path.write_bytes(b"")
    return path


def page(path):
    path.write_text("<!DOCTYPE html><html>Sign in</html>")
    return path


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    return path


def missing(path):
    return path


def a_map_of_classes(path):
    conv = helper.make_node("Conv", ["images", "kernel"], ["logits"])
    kernel = {"kernel": np.ones((4, 3, 1, 1), np.float32)}
    return written(path, [conv], kernel, outputs=[("logits", ("batch", 4, 8, 8))])


def one_output(path):
    return save_unchecked(path, *classifier(KERNEL[:1]))


def whole_numbers_of_the_image(path):
    nodes, arrays = classifier()
    nodes[1:] = [
        helper.make_node("Cast", ["a"], ["b"], to=onnx.TensorProto.INT64, name="rounding"),
        helper.make_node("Cast", ["b"], ["c"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Flatten", ["c"], ["logits"]),
    ]
    return save_unchecked(path, nodes, arrays)


def places_of_maxima(path):
    nodes, arrays = classifier()
    pool = helper.make_node("MaxPool", ["a"], ["b", "places"], kernel_shape=[1, 1])
    nodes[1:] = [
        pool,
        helper.make_node("Cast", ["places"], ["c"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Flatten", ["c"], ["logits"]),
    ]
    return save_unchecked(path, nodes, arrays)


def old(path):
    return save_unchecked(path, *classifier(), opset=6)


FAULTS = {
    cycle: "(?i)nodes in a graph must be topologically sorted|reads 'b', which nothing makes",
    missing_value: "(?i)nodes in a graph must be topologically sorted|which nothing makes",
    unknown_operation: "has the operation NonZero 'last', which is not known",
    foreign_operation: "com.somebody",
    not_finite: "'kernel' holds NaN or infinity",
    huge_shape: "node ConstantOfShape 'bomb' cannot be run: its result has the shape",
    huge_padding: "node Conv 'first' cannot be run: its result has the shape",
    wrong_channels: "node Conv 'first' cannot be run",
    two_images: "must have one input, the images, and has 'images', 'more'",
    data_elsewhere: "is not a valid ONNX file",
    truncated: "is no ONNX file, or is damaged|is not a valid ONNX file",
    empty: "is no ONNX file",
    page: "is no ONNX file",
    pointer: "is a pointer of Git LFS, not the file itself; run 'git lfs pull'",
    missing: "is missing; give an .onnx file",
    a_map_of_classes: "which is not one number for each class",
    one_output: "has one output, and a classifier has one for each class",
    whole_numbers_of_the_image: "node Cast 'rounding' cannot be run: it casts values of the image to int64",
    places_of_maxima: "its input 'places' is a result that is not computed here",
    old: "has opset 6",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_bad_file_is_one_sentence(fault, tmp_path):
    (tmp_path / "inner").mkdir()
    path = fault(tmp_path / "inner" / "network.onnx")
    with pytest.raises(StoreError, match=FAULTS[fault]) as caught:
        import_onnx(path, Normalisation((0.5,) * 3, (0.2,) * 3))
    assert "\n" not in str(caught.value)
