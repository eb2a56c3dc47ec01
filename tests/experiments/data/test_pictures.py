"""Modes and sizes of pictures, against Pillow's own conversions and torchvision's definition of a crop."""

import warnings

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.datasets import load, open_split
from experiments.data.sources.pictures import Form, fitted
from tests.support.data_files import pictures, png, refused, write_folder, write_parquet

BILINEAR = PIL.Image.Resampling.BILINEAR


def of_mode(mode):
    """A picture whose pixels differ, in a mode of Pillow."""
    pixels = pictures(1, (32, 32, 3))[0]
    if mode == "I;16":
        return PIL.Image.fromarray(pixels[..., 0].astype(np.uint16) * 3)
    if mode == "P-transparent":
        return PIL.Image.fromarray(pixels).quantize(16)
    if mode == "LA":
        return PIL.Image.fromarray(np.ascontiguousarray(pixels[..., :2]), "LA")
    if mode == "RGBA":
        return PIL.Image.fromarray(np.concatenate([pixels, pixels[..., :1]], axis=2))
    return PIL.Image.fromarray(pixels).convert(mode)


FILES = {
    "1": "png", "L": "png", "LA": "png", "P": "png", "P-transparent": "png", "RGB": "png", "RGBA": "png", "I;16": "png",
    "CMYK": "jpg", "YCbCr": "jpg", "F": "tiff", "I": "tiff",
}  # fmt: skip
GREY = {"1", "L", "LA", "I;16", "F", "I"}


@pytest.mark.parametrize("mode", FILES)
def test_every_mode_becomes_what_torchvision_makes_of_it(tmp_path, mode):
    file = tmp_path / f"train/a/1.{FILES[mode]}"
    file.parent.mkdir(parents=True)
    of_mode(mode).save(file, **({"transparency": 3} if mode == "P-transparent" else {}))
    with PIL.Image.open(file) as picture:
        colour = picture.convert("RGB")
    name = f"imagefolder:{tmp_path}"
    np.testing.assert_array_equal(load(name, "train", channels=3).images[0], np.asarray(colour))
    grey = np.asarray(colour.convert("L"))[..., None]
    np.testing.assert_array_equal(load(name, "train", channels=1).images[0], grey)
    found = load(name, "train")
    np.testing.assert_array_equal(found.images[0], grey if mode in GREY else np.asarray(colour))
    assert any("more than 8 bits" in remark for remark in found.remarks) == (mode in ("I;16", "F", "I"))


def test_grey_and_colour_together_are_colour(tmp_path):
    grey, colour = pictures(2, (32, 32)), pictures(2, (32, 32, 3))
    for first, second in ((grey, colour), (colour, grey)):
        write_folder(tmp_path / "x", {f"a/{i}.png": picture for i, picture in enumerate((*first, *second))})
        found = load(f"imagefolder:{tmp_path / 'x'}", "train")
        expected = [np.asarray(PIL.Image.fromarray(picture).convert("RGB")) for picture in (*first, *second)]
        np.testing.assert_array_equal(found.images, expected)
        assert any("mixes grey and colour" in remark for remark in found.remarks)


def test_only_the_first_frame_of_an_animation_is_read(tmp_path):
    first, second = (PIL.Image.fromarray(picture) for picture in pictures(2, (32, 32, 3)))
    (tmp_path / "a").mkdir()
    first.save(tmp_path / "a/1.webp", save_all=True, append_images=[second], lossless=True)
    first.save(tmp_path / "a/2.png", "GIF", save_all=True, append_images=[second])
    found = load(f"imagefolder:{tmp_path}", "train", channels=3).images
    np.testing.assert_array_equal(found[0], np.asarray(first))
    with PIL.Image.open(tmp_path / "a/2.png") as picture:
        np.testing.assert_array_equal(found[1], np.asarray(picture.convert("RGB")))


def test_large_pictures_are_read_without_a_warning_and_huge_ones_refused(tmp_path, monkeypatch):
    write_folder(tmp_path, {"a/1.png": pictures(1, (20, 30, 3))[0]})
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 400)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(f"imagefolder:{tmp_path}", "train")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 200)
    refused("1.png", "exceeds limit", data=f"imagefolder:{tmp_path}")


def cropped(picture, size):
    """torchvision's Resize(size) and CenterCrop(size) on a picture, written out."""
    wide, high = picture.size
    short, long = min(wide, high), max(wide, high)
    new_long = int(size * long / short)
    new = (size, new_long) if wide <= high else (new_long, size)
    resized = picture.resize(new, BILINEAR)
    top, left = int(round((new[1] - size) / 2.0)), int(round((new[0] - size) / 2.0))  # noqa: RUF046
    return np.asarray(resized)[top : top + size, left : left + size]


@settings(max_examples=80, deadline=None)
@given(wide=st.integers(1, 70), high=st.integers(1, 70), size=st.integers(1, 40), seed=st.integers(0, 99))
def test_crop_is_torchvisions(wide, high, size, seed):
    picture = PIL.Image.fromarray(pictures(1, (high, wide, 3), seed)[0])
    found = np.asarray(fitted(picture, Form((size, size), "crop"), "`data`"))
    np.testing.assert_array_equal(found, cropped(picture, size))
    squashed = np.asarray(fitted(picture, Form((size, size)), "`data`"))
    np.testing.assert_array_equal(squashed, np.asarray(picture.resize((size, size), BILINEAR)))


@given(wide=st.integers(1, 50), high=st.integers(1, 50), size=st.tuples(st.integers(1, 30), st.integers(1, 30)))
@settings(max_examples=50, deadline=None)
def test_a_crop_of_any_shape_fills_it(wide, high, size):
    white = PIL.Image.new("L", (wide, high), 255)
    found = np.asarray(fitted(white, Form(size, "crop"), "`data`"))
    # Pixels outside the picture would be black.
    assert found.shape == size
    assert (found == 255).all()


def test_every_source_can_be_cropped(tmp_path):
    pixels = pictures(3, (10, 24, 3))
    write_folder(tmp_path / "folder", {f"a/{i}.png": picture for i, picture in enumerate(pixels)})
    write_parquet(tmp_path / "a.parquet", pixels, [0, 0, 0])
    np.savez(tmp_path / "a.npz", images=pixels, labels=[0, 0, 0])
    expected = [cropped(PIL.Image.fromarray(picture), 8) for picture in pixels]
    for name in ("imagefolder:folder", "parquet:a.parquet", "npz:a.npz"):
        kind, _, path = name.partition(":")
        found = load(f"{kind}:{tmp_path / path}", "train", image_size=8, resize="crop")
        np.testing.assert_array_equal(found.images, expected)
    refused("`resize` must be one of squash, crop, not 'fit'", data="digits", resize="fit")


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_parts_are_the_images_in_order_whatever_holds_them(tmp_path, at_once):
    pixels = pictures(7, (6, 5, 3))
    write_folder(tmp_path / "folder", {f"a/{i}.png": picture for i, picture in enumerate(pixels)})
    for shard in range(2):
        write_parquet(tmp_path / f"p/train-{shard}.parquet", pixels[shard * 3 : 3 + shard * 4], [0] * (3 + shard))
    np.savez(tmp_path / "a.npz", images=pixels, labels=[0] * 7)
    np.savez_compressed(tmp_path / "b.npz", images=np.asfortranarray(pixels), labels=[0] * 7)
    for name in ("imagefolder:folder", "parquet:p", "npz:a.npz", "npz:b.npz"):
        kind, _, path = name.partition(":")
        stored = open_split(f"{kind}:{tmp_path / path}", "train", image_size=(6, 5), channels=3)
        assert stored.shape == (6, 5, 3)
        parts = list(stored.parts(at_once))
        assert [len(images) for images, _ in parts] == [
            len(pixels[i : i + at_once]) for i in range(0, 7, at_once)
        ]
        np.testing.assert_array_equal(np.concatenate([images for images, _ in parts]), pixels)
        chosen = stored.at(np.array([1, 4, 6]))
        np.testing.assert_array_equal(chosen.images, pixels[[1, 4, 6]])
        assert stored.digest() == stored.decoded().digest()


def test_a_damaged_picture_among_many_is_named_when_it_is_read(tmp_path):
    write_folder(tmp_path, {f"a/{i}.png": picture for i, picture in enumerate(pictures(5))})
    (tmp_path / "a/3.png").write_bytes(png(pictures(1)[0])[:60])
    stored = open_split(f"imagefolder:{tmp_path}", "train", channels=3)
    assert stored.shape == (32, 32, 3)
    with pytest.raises(Exception, match=r"unreadable image, .*a/3\.png"):
        stored.check()
