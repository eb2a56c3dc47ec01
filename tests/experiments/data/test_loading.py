"""Images as a model takes them: size, channels, how they are resized, and which are held out."""

import re

import numpy as np
import PIL.Image
import pytest

from engine.errors import DataError
from experiments.data.loading import held_out_images, load_images, note_resize, open_images, settled
from experiments.data.options import DataOptions
from models.model_directory import Model
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from tests.support.data_files import pictures, write_folder


def model_for(height=8, width=8, channels=3, **notes):
    network = VGGArchitecture("any", ((4,),), (), 2, (height, width, channels)).build(0)
    return Model(network, Normalisation((0.5,) * channels, (0.5,) * channels), ("cat", "dog"), notes)


@pytest.fixture
def folder(tmp_path):
    picture = pictures(1, (20, 12, 3))[0]
    write_folder(tmp_path, {f"train/{name}/{i}.png": picture for name in ("cat", "dog") for i in range(4)})
    return tmp_path


def options(folder, **others):
    return DataOptions(f"imagefolder:{folder}", **others)


def test_the_model_decides_size_and_channels(folder):
    picture = PIL.Image.fromarray(pictures(1, (20, 12, 3))[0])
    for height, width in ((8, 8), (6, 10)):
        sized = picture.resize((width, height), PIL.Image.Resampling.BILINEAR)
        colour, grey = (
            load_images(options(folder), model_for(height, width, channels)).images[0] for channels in (3, 1)
        )
        np.testing.assert_array_equal(colour, np.asarray(sized))
        np.testing.assert_array_equal(grey[..., 0], np.asarray(sized.convert("L")))


def test_grey_arrays_are_repeated_for_a_model_of_colour(tmp_path):
    pixels = pictures(2, (8, 8))
    np.savez(tmp_path / "a.npz", images=pixels, labels=[0, 1])
    found = load_images(DataOptions(f"npz:{tmp_path / 'a.npz'}"), model_for())
    np.testing.assert_array_equal(found.images, np.repeat(pixels[..., None], 3, axis=3))


def test_images_are_resized_as_the_model_was_given_unless_the_options_say(folder):
    cropping, squashing = model_for(data={"resize": "crop"}), model_for()
    cropped = load_images(options(folder), cropping).digest()
    squashed = load_images(options(folder), squashing).digest()
    assert cropped != squashed
    assert load_images(options(folder, resize="crop"), squashing).digest() == cropped
    assert load_images(options(folder, resize="squash"), cropping).digest() == squashed
    assert settled(options(folder), cropping).resize == "crop"
    assert settled(options(folder), squashing).resize is None
    note_resize(squashing, options(folder, resize="crop"))
    assert load_images(options(folder), squashing).digest() == cropped
    with pytest.raises(DataError, match="`resize` must be one of squash, crop, not 'pad'"):
        options(folder, resize="pad")


def test_arrays_of_another_size_are_resized_where_the_way_is_given(tmp_path):
    np.savez(tmp_path / "a.npz", images=pictures(2, (10, 24, 3)), labels=[0, 1])
    data = f"npz:{tmp_path / 'a.npz'}"
    with pytest.raises(DataError, match="images of 10x24x3 and the model takes 8x8x3"):
        load_images(DataOptions(data), model_for())
    assert load_images(DataOptions(data, resize="crop"), model_for()).images.shape == (2, 8, 8, 3)
    assert load_images(DataOptions(data), model_for(data={"resize": "squash"})).images.shape == (2, 8, 8, 3)


def test_held_out_images_are_those_of_the_test_split(folder):
    picture = pictures(1)[0]
    write_folder(folder, {"test/cat/1.png": picture, "val/cat/1.png": picture, "val/dog/1.png": picture})
    found, remark = held_out_images(options(folder), model_for())
    assert (found.split, len(found), remark) == ("test", 1, "")
    # The split that the search used is never taken.
    found, remark = held_out_images(options(folder, split="test"), model_for())
    assert (found.split, len(found)) == ("val", 2)


@pytest.mark.parametrize("unlabelled", [True, False])
def test_held_out_images_without_a_test_split(folder, unlabelled):
    picture = pictures(1)[0]
    if unlabelled:
        write_folder(folder, {"test/1.png": picture})
    why = "split test .* has no labels" if unlabelled else "has no test split"
    found, remark = held_out_images(options(folder), model_for())
    assert found is None
    assert re.search(why, remark)
    write_folder(folder, {"valid/dog/1.png": picture})
    found, remark = held_out_images(options(folder), model_for())
    assert found.split == "valid"
    assert re.search(f"{why}.*: held-out images are those of split valid.", remark)


def test_only_the_images_that_are_wanted_are_decoded(folder):
    model = model_for()
    (folder / "train/dog/3.png").write_bytes(b"")
    stored = open_images(options(folder), model)
    np.testing.assert_array_equal(stored.at(np.arange(3)).images, stored.at(np.arange(3)).decoded().images)
    with pytest.raises(DataError, match=r"dog/3\.png"):
        stored.check()
