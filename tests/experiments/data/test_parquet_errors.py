"""Tables of images that cannot be read, or hold something else."""

import io

import datasets as hf
import PIL.Image
import pytest

from experiments.data.datasets import load
from tests.support.data_files import pictures, png, refused, write_parquet


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
        ({"labels": ["x", "y"], "label_type": "string"}, ["integer labels", "(label is of texts)"]),
        ({"labels": [], "pixels": []}, ["`split` train", "holds no images"]),
        ({"labels": [0, 1], "pixels": [pictures(1)[0], b"no picture"]}, ["unreadable image"]),
        ({"labels": [0, 1], "pixels": [pictures(1)[0], None]}, ["no bytes"]),
        ({"labels": [0, 1], "pixels": [pictures(1)[0], png(pictures(1)[0])[:60]]}, ["unreadable image"]),
        (
            {"labels": [0, 1], "pixels": [*pictures(1), *pictures(1, (6, 6, 3))]},
            ["5x6 and 6x6", "`image_size`"],
        ),
        ({"labels": [-1, -1], "names": ["a", "b"]}, ["no labels (all are -1)"]),
        ({"labels": [None, None]}, ["no labels (all are missing)"]),
        ({"labels": [None, None], "label_type": "null"}, ["no labels (all are missing)"]),
        ({"labels": [True, False], "label_type": "bool"}, ["(label is of true or false)"]),
    ],
)
def test_parquet_that_does_not_fit(tmp_path, options, parts):
    options = {"pixels": pictures(2), **options}
    write_parquet(tmp_path / "a.parquet", **options)
    refused("`data` parquet:", *parts, data=f"parquet:{tmp_path}")


def test_class_label_out_of_range(tmp_path):
    import pyarrow.parquet as pq

    file = write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1], ["a", "b"])
    table = pq.read_table(file)
    table = table.set_column(1, table.schema.field(1), [[0, 5]])
    pq.write_table(table, file)
    refused("`data` parquet:", "5", data=f"parquet:{file}")


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


def test_a_test_split_without_labels_stands_in_nobodys_way(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_parquet(tmp_path / "train-0.parquet", pictures(2), [0, 1])
    cells = [{"bytes": png(p), "path": None} for p in pictures(2)]
    # The numbers of the files are integers, and no labels.
    for columns in ({"image": cells}, {"image": cells, "id": [7, 9]}, {"image": cells, "label": [-1, -1]}):
        pq.write_table(pa.table(columns), tmp_path / "test-0.parquet")
        assert load(f"parquet:{tmp_path}", "train").classes == ("0", "1")
        refused("`split` test", "has no labels", data=f"parquet:{tmp_path}", split="test")


def test_local_files_need_no_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", "/proc/none")
    write_parquet(tmp_path / "a.parquet", pictures(2), [0, 1])
    assert len(load(f"parquet:{tmp_path}", "train")) == 2


def test_pointers_of_git_lfs_are_named(tmp_path):
    for name in ("train-0.parquet", "digits.npz"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    for data in (f"parquet:{tmp_path}", f"parquet:{tmp_path}/train-0.parquet", f"npz:{tmp_path}/digits.npz"):
        refused("`data`", "is a pointer of Git LFS", "run 'git lfs pull'", data=data)
