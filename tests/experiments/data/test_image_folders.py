"""Folders of images, a class each."""

import numpy as np
import PIL.Image

from experiments.datasets import available_splits, load
from tests.experiments.data.files import pictures, png, refused, write_folder


def test_image_folder_with_splits(tmp_path):
    a, b, c, d = (pictures(1, (32, 32, 3), seed)[0] for seed in range(4))
    tree = {"train/dog/1.png": a, "train/cat/2.bmp": b, "train/cat/1.PNG": c, "test/emu/1.png": d}
    write_folder(tmp_path, tree)
    (tmp_path / "train/cat/notes.txt").write_text("not a picture")
    (tmp_path / "train/cat/._1.png").write_bytes(b"left by a file browser")
    (tmp_path / "train/cat/metadata.csv").write_text("file_name,label\n/etc/passwd,3\n")
    name = f"imagefolder:{tmp_path}"
    assert available_splits(name) == ("train", "test")
    train, test = load(name, "train"), load(name, "test")
    assert train.classes == test.classes == ("cat", "dog", "emu")
    np.testing.assert_array_equal(train.labels, [0, 0, 1])
    np.testing.assert_array_equal(train.images, [c, b, a])
    np.testing.assert_array_equal(test.labels, [2])
    np.testing.assert_array_equal(test.images, [d])
    one = load(name, "train", images=2, seed=3)
    assert all(any((image == other).all() for other in train.images) for image in one.images)


def test_image_folder_without_splits_and_of_varying_size(tmp_path):
    root = tmp_path / "odd [a] *name"
    write_folder(root, {"b/1.png": pictures(1, (7, 9))[0], "a/1.png": pictures(1, (40, 33))[0]})
    name = f"imagefolder:{root}"
    assert available_splits(name) == ("train",)
    found = load(name, "train")
    assert found.images.shape == (2, 32, 32, 1)
    assert found.classes == ("a", "b")
    picture = PIL.Image.fromarray(pictures(1, (7, 9))[0])
    expected = np.asarray(picture.resize((32, 32), PIL.Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(found.images[1, ..., 0], expected)
    assert load(name, "train", image_size=8).images.shape == (2, 8, 8, 1)


def test_turned_photos_are_turned_back(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:16] = 255
    (tmp_path / "a").mkdir()
    PIL.Image.fromarray(pixels).save(tmp_path / "a/1.png", exif=exif)
    np.testing.assert_array_equal(load(f"imagefolder:{tmp_path}", "train").images[0, ..., 0], pixels[::-1])


def test_image_folder_errors(tmp_path):
    name = f"imagefolder:{tmp_path}"
    refused("--data imagefolder:", "holds no images", data=name)
    write_folder(tmp_path, {"train/a/1.png": pictures(1)[0], "train/b/1.png": pictures(1, (6, 5))[0]})
    refused("mixes RGB and L", data=name)
    refused("--split test", "train", data=name, split="test")
    (tmp_path / "train/b/1.png").write_bytes(png(pictures(1)[0])[:50])
    refused("unreadable image", "1.png", data=name)
    write_folder(tmp_path, {"train/loose.png": pictures(1)[0]})
    refused("loose.png", "outside a class", data=name)
    (tmp_path / "train/loose.png").unlink()
    write_folder(tmp_path, {"train/a/deep/1.png": pictures(1)[0]})
    refused("outside a class", data=name)
