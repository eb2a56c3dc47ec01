import errno
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from models import model_directory
from models.arrays import arrays_of, kernels_of
from models.errors import StoreError


@pytest.fixture
def directory(tiny_directory, tmp_path):
    return shutil.copytree(tiny_directory, tmp_path / "model")


def test_a_model_comes_back_as_it_was(tiny_model, directory):
    loaded = model_directory.load(directory)
    assert loaded.network.architecture == tiny_model.network.architecture
    assert loaded.normalisation == tiny_model.normalisation
    assert loaded.classes == tiny_model.classes
    for name, array in arrays_of(tiny_model.network).items():
        np.testing.assert_array_equal(arrays_of(loaded.network)[name], array)
    assert loaded.digest() == tiny_model.digest()


def test_truncated_or_changed_weights_are_refused(directory):
    path = directory / model_directory.WEIGHTS
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="is damaged"):
            model_directory.load(directory)
    path.unlink()
    with pytest.raises(StoreError, match="is missing"):
        model_directory.load(directory)


def test_a_description_that_no_parser_gets_through_is_an_error(directory):
    (directory / "model.json").write_text("[" * 100_000)
    with pytest.raises(StoreError, match=r"model\.json cannot be read"):
        model_directory.load(directory)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"architecture": None},
        {"architecture": {"family": "transformer"}},
        {
            "architecture": {
                "family": "vgg",
                "blocks": [["a"]],
                "hidden": [],
                "classes": 3,
                "input_shape": [8, 8, 2],
            }
        },
        {"architecture": {"family": "vgg", "blocks": [[4]], "hidden": [], "classes": 3, "input_shape": [8]}},
        {"normalisation": {"mean": [0.5], "std": [0.5]}},
        {"normalisation": {"mean": [0.5, 0.5], "std": [0.5, 0]}},
        {"normalisation": [1]},
        {"classes": ["a"]},
        {"classes": 3},
    ],
)
def test_a_damaged_description_is_refused(directory, change):
    path = directory / model_directory.DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError):
        model_directory.load(directory)


def test_weights_of_another_architecture_are_refused(directory):
    path = directory / model_directory.DESCRIPTION
    description = json.loads(path.read_text())
    description["architecture"]["hidden"] = [10]
    path.write_text(json.dumps(description))
    with pytest.raises(StoreError, match="do not fit the architecture"):
        model_directory.load(directory)


def test_a_missing_directory_says_what_is_expected(tmp_path):
    with pytest.raises(StoreError, match="is not a model directory"):
        model_directory.load(tmp_path / "nothing")


@pytest.mark.parametrize("name", [model_directory.DESCRIPTION, model_directory.WEIGHTS])
def test_a_file_in_the_place_of_a_directory_is_named(directory, name):
    with pytest.raises(StoreError, match=f"{name} is not a model directory"):
        model_directory.load(directory / name)


def test_nothing_is_overwritten(tiny_model, directory, tmp_path):
    before = (directory / model_directory.WEIGHTS).read_bytes()
    with pytest.raises(StoreError, match="exists already"):
        model_directory.save(directory, tiny_model)
    assert (directory / model_directory.WEIGHTS).read_bytes() == before
    (tmp_path / "empty").mkdir()
    model_directory.save(tmp_path / "empty", tiny_model)
    assert model_directory.load(tmp_path / "empty").digest() == tiny_model.digest()


def test_a_full_disk_leaves_nothing_behind(tiny_model, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as said:
        model_directory.save(tmp_path / "new", tiny_model)
    assert said.value.filename in {str(tmp_path / "new" / name) for name in model_directory.files(tiny_model)}
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_written_where_nothing_can_be_synced(tiny_model, tmp_path, monkeypatch):
    def unsupported(_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "fsync", unsupported)
    model_directory.save(tmp_path / "new", tiny_model)
    assert model_directory.load(tmp_path / "new").digest() == tiny_model.digest()


@pytest.fixture
def sensed(tiny_model, tmp_path):
    """A model with sensitivities, and its directory."""
    rng = np.random.default_rng(0)
    values = {
        name: rng.normal(size=k.shape).astype(np.float32) for name, k in kernels_of(tiny_model.network).items()
    }
    model = replace(tiny_model, sensitivity=values)
    model_directory.save(tmp_path / "sensed", model)
    return model, tmp_path / "sensed"


def test_sensitivities_come_back_and_are_no_part_of_the_identity(tiny_model, directory, sensed):
    model, path = sensed
    loaded = model_directory.load(path)
    assert loaded.sensitivity.keys() == model.sensitivity.keys()
    for name, array in model.sensitivity.items():
        np.testing.assert_array_equal(loaded.sensitivity[name], array)
    assert loaded.digest() == tiny_model.digest()
    assert "sensitivity_sha256" not in loaded.notes
    assert model_directory.load(directory).sensitivity is None


def test_damaged_sensitivities_are_refused(sensed):
    path = sensed[1] / model_directory.SENSITIVITY
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match="is damaged"):
        model_directory.load(sensed[1])
    path.unlink()
    with pytest.raises(StoreError, match="is missing"):
        model_directory.load(sensed[1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda values: values.pop("logits.dense.kernel"), "'logits.dense.kernel' has shape None"),
        (lambda values: values.update(odd=np.zeros((2, 2), np.float32)), "'odd'"),
        (lambda values: values.update({"logits.dense.kernel": np.zeros((3, 9), np.float32)}), r"\(3, 9\)"),
        (lambda values: values["logits.dense.kernel"].__setitem__((0, 0), np.nan), "not finite"),
    ],
)
def test_sensitivities_that_do_not_fit_are_refused(sensed, tmp_path, change, sentence):
    values = {name: array.copy() for name, array in sensed[0].sensitivity.items()}
    change(values)
    model_directory.save(tmp_path / "odd", replace(sensed[0], sensitivity=values))
    with pytest.raises(StoreError, match=sentence):
        model_directory.load(tmp_path / "odd")


@pytest.mark.parametrize("name", [model_directory.WEIGHTS, model_directory.DESCRIPTION])
def test_pointers_of_git_lfs_are_named(directory, name):
    (directory / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    with pytest.raises(StoreError, match=rf"{name} is a pointer of Git LFS, .*; run 'git lfs pull'"):
        model_directory.load(directory)
