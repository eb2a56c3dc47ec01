import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from models.errors import StoreError
from models.normalisation import Normalisation
from models.torch_import import import_network

NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def state_dict(batch_norm=False, dtype=np.float32):
    """Two blocks (5 and 6, then 7 filters), 16x16 images, a classifier of 9 and 4, in PyTorch's layout."""
    rng = np.random.default_rng(0)
    step = 3 if batch_norm else 2
    places = [0, step, 2 * step + 1]
    arrays = {}
    for place, (inputs, filters) in zip(places, [(3, 5), (5, 6), (6, 7)], strict=True):
        arrays[f"features.{place}.weight"] = rng.standard_normal((filters, inputs, 3, 3))
        arrays[f"features.{place}.bias"] = rng.standard_normal(filters)
        if batch_norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                arrays[f"features.{place + 1}.{part}"] = rng.random(filters) + 0.1
    arrays["classifier.1.weight"] = rng.standard_normal((9, 7 * 4 * 4))
    arrays["classifier.1.bias"] = rng.standard_normal(9)
    arrays["classifier.4.weight"] = rng.standard_normal((4, 9))
    arrays["classifier.4.bias"] = rng.standard_normal(4)
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    if batch_norm:
        arrays["features.1.num_batches_tracked"] = np.array(3)
    return arrays


def torch_logits(arrays, images, batch_norm):
    """What PyTorch computes, written out in its own layout: NCHW, OIHW, flatten channels first."""
    carry = images.transpose(0, 3, 1, 2)
    step = 3 if batch_norm else 2
    for place, pool in [(0, False), (step, True), (2 * step + 1, True)]:
        kernel = arrays[f"features.{place}.weight"]
        carry = jax.lax.conv_general_dilated(carry, kernel, (1, 1), ((1, 1), (1, 1)))
        carry = carry + arrays[f"features.{place}.bias"][:, None, None]
        if batch_norm:
            norm = {
                part: arrays[f"features.{place + 1}.{part}"][:, None, None]
                for part in ("weight", "bias", "running_mean", "running_var")
            }
            carry = (carry - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
            carry = carry * norm["weight"] + norm["bias"]
        carry = np.maximum(carry, 0)
        if pool:
            n, c, h, w = carry.shape
            carry = np.asarray(carry).reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    flat = carry.reshape(len(images), -1)
    hidden = np.maximum(flat @ arrays["classifier.1.weight"].T + arrays["classifier.1.bias"], 0)
    return hidden @ arrays["classifier.4.weight"].T + arrays["classifier.4.bias"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_logits_equal_pytorchs_arithmetic(tmp_path, batch_norm):
    arrays = state_dict(batch_norm)
    save_file(arrays, tmp_path / "vgg.safetensors")
    model = import_network(tmp_path / "vgg.safetensors", NORMALISATION)
    assert model.network.architecture.blocks == ((5, 6), (7,))
    assert model.network.architecture.input_shape == (16, 16, 3)
    images = np.random.default_rng(1).standard_normal((3, 16, 16, 3)).astype(np.float32)
    expected = torch_logits(arrays, images, batch_norm)
    np.testing.assert_allclose(model.network(images), expected, rtol=1e-4, atol=1e-3)


def test_half_precision_is_read_as_float32(tmp_path):
    save_file(state_dict(dtype=np.float16), tmp_path / "vgg.safetensors")
    model = import_network(tmp_path / "vgg.safetensors", NORMALISATION, classes=("a", "b", "c", "d"))
    assert model.classes == ("a", "b", "c", "d")
    assert model.network.stages[0].convolution.kernel[...].dtype == np.float32


def changed(**changes):
    arrays = state_dict()
    for name, array in changes.items():
        arrays[name.replace("__", ".")] = array
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (changed(features__0__weight=None), "needs weight and bias"),
        (changed(layer1__0__weight=np.ones(3, np.float32)), "neither features"),
        (changed(features__0__weight=np.full((5, 3, 3, 3), np.nan, np.float32)), "NaN or infinity"),
        (changed(features__0__weight=np.ones((5, 3, 3, 3), np.int32)), "not floating-point"),
        (changed(features__0__weight=np.ones((5, 3, 5, 5), np.float32)), "kernel of"),
        (changed(features__2__weight=np.ones((6, 4, 3, 3), np.float32)), "shape"),
        (changed(classifier__1__weight=np.ones((9, 50), np.float32)), "square"),
        (
            {"classifier.1.weight": np.ones((2, 2), np.float32), "classifier.1.bias": np.ones(2, np.float32)},
            "4-d",
        ),
    ],
)
def test_files_that_are_no_vgg_are_refused(tmp_path, arrays, sentence):
    save_file(arrays, tmp_path / "vgg.safetensors")
    with pytest.raises(StoreError, match=sentence):
        import_network(tmp_path / "vgg.safetensors", NORMALISATION)


def test_options_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "vgg.safetensors"
    save_file(state_dict(), path)
    with pytest.raises(StoreError, match="--mean and --std"):
        import_network(path, Normalisation((0.5,), (0.5,)))
    with pytest.raises(StoreError, match="--classes"):
        import_network(path, NORMALISATION, classes=("a",))
    with pytest.raises(StoreError, match="--input-size"):
        import_network(path, NORMALISATION, input_size=64)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StoreError, match="safetensors"):
        import_network(path, NORMALISATION)
    with pytest.raises(StoreError, match="missing"):
        import_network(tmp_path / "nothing", NORMALISATION)
