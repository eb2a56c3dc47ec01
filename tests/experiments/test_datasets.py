import hashlib
import io
import logging
import subprocess
import sys
import zipfile

import datasets as hf
import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.errors import DataError
from experiments import datasets as data
from experiments.datasets import ImageSet, available_splits, load


@pytest.fixture(autouse=True, scope="module")
def private_cache(tmp_path_factory):
    """Tables made from the tiny files go to a folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


def pictures(count, shape=(6, 5, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def png(pixels, kind="PNG"):
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def write_parquet(
    path, pixels, labels, names=None, *, image="image", label="label", label_type="int64", extra=None
):
    """A parquet file as the hub has them; ``pixels`` may also hold encoded bytes or ``None``."""
    cells = [
        None if p is None else {"bytes": p if isinstance(p, bytes) else png(p), "path": None} for p in pixels
    ]
    columns = {image: cells, label: labels, **(extra or {})}
    kinds = {image: hf.Image(), label: hf.ClassLabel(names=names) if names else hf.Value(label_type)}
    kinds |= {key: hf.Value("int64") for key in extra or {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    hf.Dataset.from_dict(columns, features=hf.Features(kinds)).to_parquet(path)
    return path


def refused(*parts, **options):
    """The message of the error that ``load`` raises: one sentence, with every one of ``parts`` in it."""
    options.setdefault("split", "train")
    with pytest.raises(DataError) as caught:
        load(**options)
    message = str(caught.value)
    for part in parts:
        assert part in message
    assert message.startswith("--")
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message
    return message


# ---------------------------------------------------------------------------------------------- ImageSet


def make_set(images, labels):
    return ImageSet(images, labels, ("a", "b"), "npz:x", "train")


@settings(max_examples=30, deadline=None)
@given(
    images=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=4)),
    where=st.integers(0, 2**30),
)
def test_digest_tells_any_change_of_content(images, where):
    labels = np.zeros(len(images), np.int32)
    first = make_set(images, labels)
    assert first.digest() == make_set(images.copy(order="F"), labels.copy()).digest()
    changed = images.copy()
    changed.reshape(-1)[where % images.size] ^= 1
    assert make_set(changed, labels).digest() != first.digest()
    assert make_set(images, labels + np.int32(1)).digest() != first.digest()


def test_digest_tells_shape_and_dtype():
    labels = np.zeros(1, np.int32)
    wide = make_set(np.zeros((1, 2, 8, 1), np.uint8), labels)
    high = make_set(np.zeros((1, 8, 2, 1), np.uint8), labels)
    long = make_set(np.zeros((1, 2, 8, 1), np.uint8), labels.astype(np.int64))
    assert len({wide.digest(), high.digest(), long.digest()}) == 3
    assert len(wide) == 1
    expected = hashlib.sha256(b"|u1(1, 2, 8, 1)" + bytes(16) + b"<i4(1,)" + bytes(4)).hexdigest()
    assert wide.digest() == expected


def test_shuffling_keeps_images_with_their_labels_and_follows_the_seed():
    pixels = np.arange(200, dtype=np.uint8)[:, None, None, None]
    images = ImageSet(pixels, np.arange(200, dtype=np.int32), ("a",), "npz:x", "train")
    one, again, other = images.shuffled(3), images.shuffled(3), images.shuffled(4)
    assert one.digest() == again.digest() != other.digest()
    np.testing.assert_array_equal(one.images[:, 0, 0, 0], one.labels)
    assert sorted(one.labels.tolist()) == list(range(200))
    # A run of the original order would make the first images a sample of one class.
    assert abs(np.corrcoef(one.labels, np.arange(200))[0, 1]) < 0.2


def test_digest_of_nothing():
    assert len(make_set(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int32)).digest()) == 64


def test_importing_does_not_import_the_library():
    code = "import sys, experiments.datasets; sys.exit('datasets' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------ digits


def test_digits_are_all_there_once():
    from sklearn.datasets import load_digits

    assert available_splits("digits") == ("train", "test")
    train, test = load("digits", "train", image_size=8), load("digits", "test", image_size=8)
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int32
    assert train.classes == tuple("0123456789")
    assert train.images.min() == 0
    assert train.images.max() == 255
    both = np.concatenate([train.images, test.images]).reshape(-1, 64)
    whole = np.rint(load_digits().data * 255 / 16).astype(np.uint8)
    assert sorted(map(bytes, both)) == sorted(map(bytes, whole))
    # Stratified: every class has a fifth of its images in the test split.
    for label in range(10):
        mine = [int((part.labels == label).sum()) for part in (train, test)]
        assert abs(mine[1] / sum(mine) - 0.2) < 0.01


def test_digits_are_resized_to_32_and_do_not_depend_on_the_seed():
    found = load("digits", "test", seed=1)
    assert found.images.shape == (360, 32, 32, 1)
    small = load("digits", "test", image_size=8)
    expected = PIL.Image.fromarray(small.images[3, ..., 0]).resize((32, 32), PIL.Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found.images[3, ..., 0], np.asarray(expected))
    assert load("digits", "test", seed=2).digest() == found.digest()


# ----------------------------------------------------------------------------------------------- parquet


@pytest.mark.parametrize(
    ("files", "given", "splits"),
    [
        (["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"], "", ("train", "test")),
        (["train-0.parquet", "test-0.parquet", "validation.parquet"], "", ("train", "test", "validation")),
        (["0000.parquet"], "", ("train",)),
        (["tests.parquet"], "", ("train",)),
        (["test-00000-of-00001.parquet"], "test-00000-of-00001.parquet", ("test",)),
        (["own_split-00000-of-00001.parquet"], "", ("own_split",)),
        (["any [1] *.parquet"], "any [1] *.parquet", ("train",)),
        ([".hidden/__x__/train.parquet"], ".hidden/__x__", ("train",)),
    ],
)
def test_parquet_layouts(tmp_path, files, given, splits):
    for number, file in enumerate(files):
        write_parquet(tmp_path / file, pictures(3, seed=number), [0, 1, 1], ["cat", "dog"])
    name = f"parquet:{tmp_path / given}"
    assert available_splits(name) == splits
    found = load(name, splits[0])
    np.testing.assert_array_equal(found.images, pictures(3))
    np.testing.assert_array_equal(found.labels, [0, 1, 1])
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int32
    assert found.images.flags.c_contiguous
    assert (found.classes, found.source, found.split) == (("cat", "dog"), name, splits[0])


def test_shards_are_read_in_order(tmp_path):
    for number in (1, 0):
        write_parquet(
            tmp_path / f"data/train-{number:05}-of-00002.parquet", pictures(2, seed=number), [number] * 2
        )
    found = load(f"parquet:{tmp_path}", "train")
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(found.images, np.concatenate([pictures(2, seed=0), pictures(2, seed=1)]))


def test_a_file_written_anew_is_read_anew(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1])
    first = load(f"parquet:{file}", "train")
    write_parquet(file, pictures(2, seed=1), [0, 1])
    np.testing.assert_array_equal(load(f"parquet:{file}", "train").images, pictures(2, seed=1))
    assert load(f"parquet:{file}", "train").digest() != first.digest()


@pytest.mark.parametrize("where", ["", "data", "cifar10", "cifar10/data", "plain_text", "cifar10/plain_text"])
def test_named_set_from_a_data_dir(tmp_path, where):
    write_parquet(tmp_path / where / "train-00000-of-00001.parquet", pictures(2), [0, 1], ["a", "b"], image="img")
    assert available_splits("cifar10", data_dir=tmp_path) == ("train",)
    found = load("cifar10", "train", data_dir=str(tmp_path))
    np.testing.assert_array_equal(found.images, pictures(2))
    assert found.source == "cifar10"


def test_named_set_from_a_file_and_from_beside_another(tmp_path):
    write_parquet(tmp_path / "train.parquet", pictures(2, seed=1), [0, 1])
    file = write_parquet(tmp_path / "svhn/data/train-0.parquet", pictures(2), [0, 1])
    for place in (tmp_path, file):
        np.testing.assert_array_equal(load("svhn", "train", data_dir=place).images, pictures(2))


def test_fashion_mnist_is_grey_and_resized_by_default(tmp_path):
    pixels = pictures(2, (28, 28))
    write_parquet(tmp_path / "test-0.parquet", pixels, [0, 1])
    found = load("fashion_mnist", "test", data_dir=tmp_path)
    expected = [
        np.asarray(PIL.Image.fromarray(p).resize((32, 32), PIL.Image.Resampling.BILINEAR)) for p in pixels
    ]
    np.testing.assert_array_equal(found.images[..., 0], expected)
    native = load("fashion_mnist", "test", data_dir=tmp_path, image_size=28)
    np.testing.assert_array_equal(native.images, pixels[..., None])


@pytest.mark.parametrize("size", [3, 9])
def test_resizing_both_ways(tmp_path, size):
    write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1])
    found = load(f"parquet:{tmp_path}", "train", image_size=size)
    picture = PIL.Image.fromarray(pictures(2)[1]).resize((size, size), PIL.Image.Resampling.BILINEAR)
    assert found.images.shape == (2, size, size, 3)
    np.testing.assert_array_equal(found.images[1], np.asarray(picture))


def test_columns_are_found_by_type(tmp_path):
    write_parquet(tmp_path / "a.parquet", pictures(2), [1, 0], ["x", "y"], image="photo", label="kind")
    found = load(f"parquet:{tmp_path / 'a.parquet'}", "train")
    np.testing.assert_array_equal(found.labels, [1, 0])
    # Fine labels are preferred to the coarse ones beside them.
    extra = {"coarse_label": [7, 7]}
    write_parquet(tmp_path / "b.parquet", pictures(2), [1, 0], ["x", "y"], label="fine_label", extra=extra)
    assert load(f"parquet:{tmp_path / 'b.parquet'}", "train").classes == ("x", "y")
    write_parquet(tmp_path / "c.parquet", pictures(2), [1, 0], label="label", extra={"id": [7, 8]})
    np.testing.assert_array_equal(load(f"parquet:{tmp_path / 'c.parquet'}", "train").labels, [1, 0])


def test_a_file_without_the_notes_of_the_library(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [{"bytes": png(p), "path": None} for p in pictures(2)]
    pq.write_table(pa.table({"image": cells, "label": pa.array([1, 0], pa.uint8())}), tmp_path / "a.parquet")
    np.testing.assert_array_equal(load(f"parquet:{tmp_path}", "train").images, pictures(2))


def test_classes_without_names_count_every_split(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", pictures(2), [0, 4])
    write_parquet(tmp_path / "test-0.parquet", pictures(2), [0, 1])
    for split in ("train", "test"):
        assert load(f"parquet:{tmp_path}", split).classes == ("0", "1", "2", "3", "4")


def test_nothing_is_printed_and_settings_are_put_back(tmp_path, capfd):
    write_parquet(tmp_path / "train-0.parquet", pictures(2), [0, 1], ["a", "b"])
    (tmp_path / "test-0.parquet").write_bytes(b"PAR1 not parquet")
    capfd.readouterr()
    levels = [logging.getLogger(name).level for name in ("datasets", "huggingface_hub")]
    load(f"parquet:{tmp_path}", "train", image_size=5)
    refused("--data parquet:", "cannot be read", data=f"parquet:{tmp_path}", split="test")
    assert capfd.readouterr() == ("", "")
    assert [logging.getLogger(name).level for name in ("datasets", "huggingface_hub")] == levels
    assert not hf.utils.are_progress_bars_disabled()


# ------------------------------------------------------------------------------------ errors in parquet


def test_unreadable_parquet(tmp_path):
    good = write_parquet(tmp_path / "good.parquet", pictures(20), [0] * 20)
    (tmp_path / "cut.parquet").write_bytes(good.read_bytes()[:-40])
    (tmp_path / "empty.parquet").write_bytes(b"")
    for name in ("cut", "empty"):
        refused("cannot be read", data=f"parquet:{tmp_path / name}.parquet")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"labels": [0, -1]}, ["label -1", "0 to"]),
        ({"labels": [0, 2**31]}, [f"label {2**31}"]),
        ({"labels": [0, None]}, ["missing or not integers"]),
        ({"labels": [0, -1], "names": ["a", "b"]}, ["label -1", "0 to 1"]),
        ({"labels": [0.0, 1.0], "label_type": "float32"}, ["integer labels", "image, label"]),
        ({"labels": [0.0, 1.0], "label_type": "float32", "extra": {"id": [1, 2]}}, ["integer labels"]),
        ({"labels": [0, 1], "label": "a", "extra": {"b": [1, 2]}}, ["integer labels", "image, a, b"]),
        ({"labels": ["x", "y"], "label_type": "string"}, ["integer labels"]),
        ({"labels": [], "pixels": []}, ["--split train", "holds no images"]),
        ({"labels": [0, 1], "pixels": [pictures(1)[0], b"no picture"]}, ["unreadable image"]),
        ({"labels": [0, 1], "pixels": [pictures(1)[0], None]}, ["no bytes"]),
        ({"labels": [0, 1], "pixels": [pictures(1)[0], png(pictures(1)[0])[:60]]}, ["unreadable image"]),
        ({"labels": [0, 1], "pixels": [*pictures(1), *pictures(1, (6, 5))]}, ["mixes RGB and L"]),
        (
            {"labels": [0, 1], "pixels": [*pictures(1), *pictures(1, (6, 6, 3))]},
            ["5x6 and 6x6", "--image-size"],
        ),
        ({"labels": [0, 1], "pixels": [*pictures(2, (6, 5, 4))]}, ["mode RGBA"]),
    ],
)
def test_parquet_that_does_not_fit(tmp_path, options, parts):
    options = {"pixels": pictures(2), **options}
    write_parquet(tmp_path / "a.parquet", **options)
    refused("--data parquet:", *parts, data=f"parquet:{tmp_path}")


def test_class_label_out_of_range(tmp_path):
    import pyarrow.parquet as pq

    file = write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1], ["a", "b"])
    table = pq.read_table(file)
    table = table.set_column(1, table.schema.field(1), [[0, 5]])
    pq.write_table(table, file)
    refused("--data parquet:", "5", data=f"parquet:{file}")


def test_a_path_inside_a_table_is_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(pictures(1)[0]))
    import pyarrow as pa
    import pyarrow.parquet as pq

    cell = pa.array(
        [{"bytes": None, "path": str(secret)}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pq.write_table(pa.table({"image": cell, "label": [0]}), tmp_path / "a.parquet")
    refused("no bytes", data=f"parquet:{tmp_path / 'a.parquet'}")


def test_pictures_that_are_programs_are_refused(tmp_path):
    eps = io.BytesIO()
    PIL.Image.fromarray(pictures(1)[0]).save(eps, "EPS")
    write_parquet(tmp_path / "a.parquet", [eps.getvalue()], [0])
    refused("unreadable image", data=f"parquet:{tmp_path}")


def test_a_file_of_no_known_split_beside_others(tmp_path):
    for name in ("train-0", "more"):
        write_parquet(tmp_path / f"{name}.parquet", pictures(1), [0])
    refused("more.parquet", "tells no split", data=f"parquet:{tmp_path}")


# ------------------------------------------------------------------------------------------- image folder


def write_folder(root, tree):
    for name, pixels in tree.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(file)


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


# ---------------------------------------------------------------------------------------------------- npz


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("npz")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5)),
    channels=st.sampled_from([None, 1, 3]),
    column=st.booleans(),
    kind=st.sampled_from(["u1", "i2", "<i8", ">i4", "u8"]),
    seed=st.integers(0, 2**31),
)
def test_npz_round_trip(scratch, shape, channels, column, kind, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, shape if channels is None else (*shape, channels), dtype=np.uint8)
    labels = rng.integers(0, 9, shape[0]).astype(kind)
    path = scratch / "a.npz"
    given_labels = labels[:, None] if column else labels
    np.savez(path, x_train=images, y_train=given_labels, x_test=images[:0], y_test=given_labels[:0])
    found = load(f"npz:{path}", "train")
    np.testing.assert_array_equal(found.images, images if channels else images[..., None])
    np.testing.assert_array_equal(found.labels, labels)
    assert found.labels.dtype == np.int32
    assert found.classes == tuple(map(str, range(labels.max() + 1)))
    assert load(f"npz:{path}", "train", image_size=4).images.shape == (shape[0], 4, 4, channels or 1)


def test_npz_splits_and_classes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=pictures(2), y_train=[0, 1], x_test=pictures(3), y_test=[0, 5, 1])
    assert available_splits(f"npz:{path}") == ("train", "test")
    assert load(f"npz:{path}", "train").classes == tuple("012345")
    assert len(load(f"npz:{path}", "test")) == 3
    np.savez(path, images=pictures(2), labels=[0, 1])
    assert available_splits(f"npz:{path}") == ("train",)
    refused("--split test", "train", data=f"npz:{path}", split="test")


@pytest.mark.parametrize(
    ("images", "labels", "parts"),
    [
        (pictures(2), [0, -1], ["label -1"]),
        (pictures(2), [0, 10**6], ["label 1000000"]),
        (pictures(2), [0.0, 1.0], ["not integers"]),
        (pictures(2), [0.0, np.nan], ["not integers"]),
        (pictures(2), [False, True], ["not integers"]),
        (pictures(2), [[0, 1], [1, 0]], ["shape (2, 2)"]),
        (pictures(2), [0], ["2 images", "1 labels"]),
        (pictures(2).astype(np.float32), [0, 1], ["float32"]),
        (pictures(2, (4,)), [0, 1], ["shape (2, 4)"]),
        (pictures(2, (3, 6, 5)), [0, 1], ["shape (2, 3, 6, 5)"]),
        (pictures(2, (0, 5, 3)), [0, 1], ["shape (2, 0, 5, 3)"]),
        (pictures(0), np.zeros(0, int), ["holds no images"]),
        (np.array([1, "x"], object), [0, 1], ["unreadable array images"]),
    ],
)
def test_npz_that_does_not_fit(tmp_path, images, labels, parts):
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    refused("--", *parts, data=f"npz:{tmp_path / 'a.npz'}")


def test_npz_unreadable(tmp_path):
    path = tmp_path / "a.npz"
    name = f"npz:{path}"
    np.savez(path, images=pictures(2))
    refused("holds images", "labels", data=name)
    np.savez(path, x_train=pictures(2), labels=[0, 1])
    refused("x_train", data=name)
    np.savez_compressed(path, images=pictures(40), labels=np.zeros(40, int))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("not a readable npz", data=name)
    path.write_bytes(b"")
    refused("not a readable npz", data=name)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY broken")
        archive.writestr("labels.npy", b"")
    refused("unreadable array", data=name)
    np.save(tmp_path / "b.npy", pictures(2))
    refused("not a readable npz", data=f"npz:{tmp_path / 'b.npy'}")
    refused("not a readable npz", data=f"npz:{tmp_path}")


# ------------------------------------------------------------------------------------ subset and options


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 30), seed=st.integers(0, 2**40))
def test_subset(scratch, count, seed):
    path = scratch / "subset.npz"
    # Every image shows its own row.
    np.savez(path, images=np.arange(30, dtype=np.uint8)[:, None, None], labels=np.arange(30))
    found = load(f"npz:{path}", "train", images=count, seed=seed)
    rows = found.labels
    assert len(found) == count
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(found.images.ravel(), rows)
    assert found.digest() == load(f"npz:{path}", "train", images=count, seed=seed).digest()
    # The classes are those of the data, not those that happen to be picked.
    assert len(found.classes) == 30


def test_subset_follows_the_seed_and_is_the_same_for_every_source(tmp_path):
    pixels = pictures(50)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.arange(50))
    write_parquet(tmp_path / "a.parquet", pixels, list(range(50)))
    sets = [load(f"npz:{tmp_path / 'a.npz'}", "train", images=20, seed=seed) for seed in range(3)]
    assert len({found.digest() for found in sets}) == 3
    other = load(f"parquet:{tmp_path / 'a.parquet'}", "train", images=20, seed=1)
    assert other.digest() == sets[1].digest()


def test_only_the_chosen_images_are_decoded(tmp_path):
    pixels = [png(p) for p in pictures(10)]
    chosen = load(f"parquet:{write_parquet(tmp_path / 'a.parquet', pixels, list(range(10)))}", "train", images=4)
    broken = [cell if row in chosen.labels else b"broken" for row, cell in enumerate(pixels)]
    write_parquet(tmp_path / "b.parquet", broken, list(range(10)))
    found = load(f"parquet:{tmp_path / 'b.parquet'}", "train", images=4)
    assert found.digest() == chosen.digest()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"images": 361, "split": "test"}, ["--images 361", "360"]),
        ({"images": 0}, ["--images is 0"]),
        ({"images": -1}, ["--images is -1"]),
        ({"image_size": 0}, ["--image-size is 0"]),
        ({"seed": -1}, ["--seed is -1"]),
        ({"split": "validation"}, ["--split validation", "train, test"]),
        ({"data": "cifar"}, ["--data cifar", "did you mean cifar10", "parquet:PATH", "digits"]),
        ({"data": "parqet:x"}, ["did you mean parquet?"]),
        ({"data": "xyzzy"}, ["is not known; choose from"]),
        ({"data": ""}, ["is not known"]),
        ({"data": "digits:x"}, ["is not known"]),
        ({"data": "npz:"}, ["has no path", "npz:PATH"]),
        ({"data": "cifar10", "split": "extra"}, ["--split extra", "train, test"]),
    ],
)
def test_options_that_do_not_fit(options, parts):
    refused(*parts, **{"data": "digits", **options})


def test_missing_paths(tmp_path):
    gone = tmp_path / "gone"
    for kind in ("parquet", "imagefolder", "npz"):
        refused(f"--data {kind}:{gone}", "cannot be opened", data=f"{kind}:{gone}")
    refused("--data npz:", "cannot be opened", data="npz:a\0b")
    refused(f"--data-dir {gone}", "cannot be opened", data="cifar10", data_dir=gone)
    refused("--data-dir", "holds no parquet files", "called svhn", data="svhn", data_dir=tmp_path)
    refused("holds no parquet files", data=f"parquet:{tmp_path}")
    with pytest.raises(DataError, match="cannot be opened"):
        available_splits("cifar10", data_dir=gone)


# ---------------------------------------------------------------------------------------------------- hub


def test_hub_that_cannot_be_reached(monkeypatch):
    def unreachable(*args, **options):
        raise ConnectionError("Couldn't reach the hub.\nMore lines")

    monkeypatch.setattr(hf, "load_dataset", unreachable)
    for name in ("cifar10", "fashion_mnist", "svhn"):
        refused(f"--data {name}", "Couldn't reach the hub", "--data-dir FOLDER", data=name)


def test_hub_is_asked_by_name(monkeypatch):
    asked = []
    kinds = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=["a", "b"])})
    cells = [{"bytes": png(p), "path": None} for p in pictures(2)]
    table = hf.Dataset.from_dict({"image": cells, "label": [1, 0]}, features=kinds)
    monkeypatch.setattr(hf, "load_dataset", lambda *args, **options: asked.append((args, options)) or table)
    found = load("svhn", "test")
    np.testing.assert_array_equal(found.images, pictures(2))
    assert asked == [(("ufldl-stanford/svhn", "cropped_digits"), {"split": "test"})]


def test_known_splits_of_the_hub_need_no_network():
    assert data.NAMES == ("digits", "cifar10", "fashion_mnist", "svhn")
    assert available_splits("cifar10") == ("train", "test")
    assert available_splits("svhn") == ("train", "test", "extra")
