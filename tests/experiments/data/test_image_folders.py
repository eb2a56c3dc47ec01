"""Folders of images, a class each, as torchvision's ImageFolder reads them."""

import os

import numpy as np
import PIL.Image
import pytest

from experiments.data.datasets import available_splits, load
from tests.support.data_files import pictures, png, refused, write_folder


def remarks(name, split="train"):
    return " ".join(load(name, split).remarks)


def test_image_folder_with_splits(tmp_path):
    a, b, c, d, e = (pictures(1, (32, 32, 3), seed)[0] for seed in range(5))
    tree = {
        "train/dog/1.png": a,
        "train/cat/2.bmp": b,
        "train/cat/1.PNG": c,
        "test/emu/1.png": d,
        "test/cat/1.png": e,
    }
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
    np.testing.assert_array_equal(test.labels, [0, 2])
    np.testing.assert_array_equal(test.images, [e, d])
    one = load(name, "train", images=2, seed=3)
    assert all(any((image == other).all() for other in train.images) for image in one.images)


@pytest.mark.parametrize("folder", ["__other__", ".other", "_other", "@eaDir", "A", "1", "10", "a b", "é"])
def test_every_folder_is_a_class_in_the_order_of_strings(tmp_path, folder):
    write_folder(tmp_path, {f"train/{name}/1.png": pictures(1)[0] for name in ("cat", "2", folder)})
    found = load(f"imagefolder:{tmp_path}", "train")
    assert found.classes == tuple(sorted(["cat", "2", folder]))
    np.testing.assert_array_equal(found.labels, [0, 1, 2])


def test_folders_within_a_class_are_part_of_it_in_the_order_of_image_folder(tmp_path):
    files = ["a/2.png", "a/b/1.png", "a/b/c/1.png", "a/b-1/1.png", "a/b/c.png", "d/1.png"]
    greys = {file: np.full((32, 32), number, np.uint8) for number, file in enumerate(files)}
    write_folder(tmp_path / "train", greys)
    found = load(f"imagefolder:{tmp_path}", "train")
    # Sorted by folder as text ("a/b-1" comes before "a/b/c"), then by name.
    order = ["a/2.png", "a/b/1.png", "a/b/c.png", "a/b-1/1.png", "a/b/c/1.png", "d/1.png"]
    assert [files[value] for value in found.images[:, 0, 0, 0]] == order
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 0, 0, 1])
    assert "part of the class that holds them: a/b, a/b-1, a/b/c" in " ".join(found.remarks)


def test_what_is_left_out_is_named(tmp_path):
    picture = pictures(1)[0]
    tree = {"train/cat/1.png": picture, "train/dog/1.png": picture, "test/cat/1.png": picture}
    write_folder(tmp_path, {**tree, "train/loose.png": picture, "more/cat/1.png": picture})
    for folder in ("train/void", "test/dog", "test/void"):
        (tmp_path / folder).mkdir()
    (tmp_path / "train/cat/Thumbs.db").write_bytes(b"")
    name = f"imagefolder:{tmp_path}"
    said = remarks(name)
    for sentence in (
        "no image by name: cat/Thumbs.db.",
        "in no folder of a class: loose.png.",
        "folders without an image: void.",
        "folders beside those of splits: more.",
    ):
        assert f"split train: left out, {sentence}" in said
    # A class without an image in one split stays a class.
    assert load(name, "test").classes == ("cat", "dog")
    assert "split test: classes without an image here: dog." in remarks(name, "test")
    assert not load(f"imagefolder:{tmp_path}/more", "train").remarks


@pytest.mark.parametrize("file", ["test/1.jpg", "test/test/1.jpg", "test/images/deep/1.jpg", "Test/1.jpg"])
def test_a_split_without_labels_stands_in_nobodys_way(tmp_path, file):
    picture = pictures(1)[0]
    write_folder(tmp_path, {"train/cat/1.png": picture, "train/dog/1.png": picture, file: picture})
    name = f"imagefolder:{tmp_path}"
    assert load(name, "train").classes == ("cat", "dog")
    refused("`split` test", "has no labels", "choose a split with labels", data=name, split="test")


def test_a_test_folder_with_one_of_the_classes_has_labels(tmp_path):
    picture = pictures(1)[0]
    write_folder(tmp_path, {"train/cat/1.png": picture, "train/dog/1.png": picture, "test/dog/1.png": picture})
    found = load(f"imagefolder:{tmp_path}", "test")
    assert found.classes == ("cat", "dog")
    np.testing.assert_array_equal(found.labels, [1])


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


def test_photos_are_not_turned(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:16] = 255
    (tmp_path / "a").mkdir()
    PIL.Image.fromarray(pixels).save(tmp_path / "a/1.png", exif=exif)
    np.testing.assert_array_equal(load(f"imagefolder:{tmp_path}", "train").images[0, ..., 0], pixels)


def test_image_folder_errors(tmp_path):
    name = f"imagefolder:{tmp_path}"
    refused("`data` imagefolder:", "holds no images", data=name)
    write_folder(tmp_path, {"train/a/1.png": pictures(1)[0], "train/b/1.png": pictures(1, (6, 5))[0]})
    refused("`split` test", "train", data=name, split="test")
    file = tmp_path / "train/b/1.png"
    for content, cause in (
        (png(pictures(1)[0])[:50], "unreadable image"),
        (b"", "it is empty"),
        (b"GIF of words", "no picture in one of the formats"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run 'git lfs pull'"),
    ):
        file.write_bytes(content)
        assert str(file) in refused(cause, data=name)
    file.unlink()
    file.symlink_to("nowhere.png")
    refused(str(file), "No such file", data=name)
    file.unlink()
    file.symlink_to(file.name)
    refused(str(file), "symbolic link", data=name)
    file.unlink()
    refused("is no folder", data=f"imagefolder:{tmp_path / 'train/a/1.png'}")
    write_folder(tmp_path, {"val/loose.png": pictures(1)[0]})
    refused("`split` val", "has no labels", "loose.png", data=name, split="val")
    write_folder(tmp_path, {"Train/a/1.png": pictures(1)[0]})
    refused("two folders of the split train, Train and train", data=name)


def test_a_folder_of_other_files_names_the_endings_that_are_read(tmp_path):
    (tmp_path / "test/a").mkdir(parents=True)
    (tmp_path / "test/a/1.gif").write_bytes(b"GIF89a")
    refused("a/1.gif are none by their names", ".jpg, .jpeg, .png", data=f"imagefolder:{tmp_path}", split="test")


@pytest.mark.parametrize(
    "names", [("training", "testing"), ("Train_set", "test set"), ("seg_train", "seg_test"), ("val2017",)]
)
def test_splits_under_other_names_are_not_taken_for_classes(tmp_path, names):
    write_folder(tmp_path, {f"{name}/a/1.png": pictures(1)[0] for name in names})
    refused("look like splits", "rename them to train and test", *names, data=f"imagefolder:{tmp_path}")


def test_a_class_may_be_called_like_a_split(tmp_path):
    write_folder(tmp_path, {f"{name}/1.png": pictures(1)[0] for name in ("test tube", "flask", "training shoe")})
    assert load(f"imagefolder:{tmp_path}", "train").classes == ("flask", "test tube", "training shoe")


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_a_folder_above_is_refused(tmp_path, target):
    write_folder(tmp_path, {"train/a/1.png": pictures(1)[0]})
    (tmp_path / "train/a/loop").symlink_to(target)
    refused("loop", "remove the link", data=f"imagefolder:{tmp_path}")


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    write_folder(tmp_path, {"elsewhere/1.png": pictures(1)[0], "data/train/a/1.png": pictures(1)[0]})
    (tmp_path / "data/train/b").symlink_to("../../elsewhere")
    assert load(f"imagefolder:{tmp_path / 'data'}", "train").classes == ("a", "b")


def test_a_folder_whose_name_is_not_utf8_is_refused(tmp_path):
    write_folder(tmp_path, {"train/the/1.png": pictures(1)[0]})
    os.mkdir(os.fsencode(tmp_path) + b"/train/caf\xe9")
    refused("caf\\udce9", "not UTF-8", "rename it", data=f"imagefolder:{tmp_path}")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_folder(tmp_path, {"train/a/1.png": pictures(1)[0]})
    whole = os.scandir

    def scandir(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    refused(str(tmp_path / "train/a"), "Permission denied", "make it readable", data=f"imagefolder:{tmp_path}")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    write_folder(tmp_path, {"train/a/1.png": pictures(1)[0]})
    os.mkfifo(tmp_path / "train/a/2.png")
    refused("2.png", "no regular file", "remove it", data=f"imagefolder:{tmp_path}")
