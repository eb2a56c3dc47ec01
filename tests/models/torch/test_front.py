"""A normalisation layer in front of a network is never lost: the images are normalised as it does, or refused."""

import numpy as np
import pytest

from models.errors import StoreError
from models.normalisation import Normalisation
from models.torch.importing import import_network
from tests.models.support.torch_files import save
from tests.models.torch.test_torch_import import torch_logits

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
TOLD = Normalisation(MEAN, STD)


def layer(shape=(1, 3, 1, 1), scale=1.0):
    return [np.asarray(numbers, np.float32).reshape(shape) * np.float32(scale) for numbers in (MEAN, STD)]


def imported(tmp_path, arrays, told=TOLD, **options):
    return import_network(save(arrays, tmp_path / "network.pt"), told, **options)


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (("mean", "std"), ""),
        (("normalize.mean", "normalize.std"), ""),
        (("model.normalize.mean", "model.normalize.std"), "model."),
        (("0.mean", "0.std"), "1."),
        (("0.means", "0.sds"), "1."),
        (("normalizer.new_mean", "normalizer.new_std"), "model."),
        (("module.mu", "module.sigma"), "module."),
        (("pixel_mean", "pixel_std"), "backbone."),
    ],
)
def test_a_layer_that_agrees_with_the_user_is_said(tmp_path, vgg, names, prefix, shape):
    arrays = {**dict(zip(names, layer(shape), strict=True)), **{prefix + name: vgg[name] for name in vgg}}
    found = imported(tmp_path, arrays)
    plain = [name.removeprefix("module.") for name in names]
    assert (
        f"{plain[0]!r}, {plain[1]!r} left out, which are the normalisation by `mean` and `std`" in found.assumed
    )
    images = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    normalised = ((images / 255 - MEAN) / STD).astype(np.float32)
    expected = torch_logits(vgg, normalised, batch_norm=True)
    logits = found.model.network(found.model.normalisation(images))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_first_layer_of_the_features_may_be_one(tmp_path, vgg):
    later = {}
    for name, array in vgg.items():
        part, place, rest = name.split(".")
        later[f"{part}.{int(place) + (part == 'features')}.{rest}"] = array
    mean, std = layer()
    found = imported(tmp_path, {"features.0.mean": mean, "features.0.std": std, **later})
    assert found.model.network.architecture.blocks == ((5, 6), (7,))
    assert any("'features.0.mean'" in sentence for sentence in found.assumed)


@pytest.mark.parametrize("scale", [1, 255])
def test_a_layer_that_differs_is_refused_with_its_numbers(tmp_path, vgg, scale):
    mean, std = layer(scale=scale)
    arrays = {"norm.mean": mean, "norm.std": std, **vgg}
    other = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    sentence = (
        r"'norm.mean', 'norm.std'.*give `mean` 0.4914,0.4822,0.4465 and `std` 0.247,0.2435,0.2616, .* `force`"
    )
    with pytest.raises(StoreError, match=sentence):
        imported(tmp_path, arrays, other)
    assert imported(tmp_path, arrays).model.normalisation == TOLD
    found = imported(tmp_path, arrays, other, force=True)
    assert found.model.normalisation == other
    assert (
        "'norm.mean', 'norm.std' left out, which are another normalisation than `mean` and `std`" in found.assumed
    )


def test_one_number_for_all_channels_is_compared_with_each(tmp_path, vgg):
    arrays = {"mean": np.array(0.5, np.float32), "std": np.float32([0.25]), **vgg}
    imported(tmp_path, arrays, Normalisation((0.5,) * 3, (0.25,) * 3))
    with pytest.raises(StoreError, match=r"give `mean` 0\.5,0\.5,0\.5 and `std` 0\.25,0\.25,0\.25"):
        imported(tmp_path, arrays)


def test_the_layer_of_a_teacher_is_not_the_students(tmp_path, vgg):
    mean, std = layer()
    two = {}
    for network, factor in (("student", 1), ("teacher", 2)):
        two |= {f"{network}.mean": mean / factor, f"{network}.std": std}
        two |= {f"{network}.{name}": array for name, array in vgg.items()}
    assert "'student.mean', 'student.std' left out" in " ".join(imported(tmp_path, two).assumed)
    with pytest.raises(StoreError, match=r"'teacher\.mean'.*give `mean` 0\.2457,"):
        imported(tmp_path, two, weights="teacher")


@pytest.mark.parametrize(
    ("beside", "sentence"),
    [
        ({"mean": np.ones(3, np.float32)}, "'mean'"),
        (
            {"features.2.mean": np.ones(3, np.float32), "features.2.std": np.ones(3, np.float32)},
            r"features\.2\.mean",
        ),
        ({"mean": np.ones(7, np.float32), "std": np.ones(7, np.float32)}, "'mean'"),
        ({"mean": np.ones(2, np.float32), "std": np.ones(2, np.float32)}, "of 2 and 2 channels"),
        ({"mean": np.zeros(3, np.float32), "std": np.zeros(3, np.float32)}, "positive stds"),
        (
            {f"{a}.{b}": np.ones(3, np.float32) for a in "ab" for b in ("mean", "std")},
            r"several .*'a\.mean', 'b\.mean'",
        ),
    ],
)
def test_arrays_that_cannot_be_such_a_layer_are_refused(tmp_path, vgg, beside, sentence):
    with pytest.raises(StoreError, match=sentence):
        imported(tmp_path, {**beside, **vgg})


def test_the_statistics_of_a_loss_belong_to_the_training(tmp_path, vgg):
    mean, std = layer()
    found = imported(tmp_path, {"criterion.mean": mean / 2, "criterion.std": std, **vgg})
    assert "'criterion.mean', 'criterion.std' left out, which belong to the training" in found.assumed
