"""Weights files that are damaged, dangerous or of another kind: one sentence each, and nothing is run or written."""

import builtins
import os
import pickle
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from experiments import cli
from models.errors import StoreError
from models.torch_files import read_state_dict
from tests.models.test_torch_import import state_dict


class RunsCode:
    """Unpickled, it makes a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def tensors(torch, arrays=None):
    return {name: torch.from_numpy(np.array(array)) for name, array in (arrays or state_dict(True)).items()}


@pytest.mark.parametrize("wrapped", [None, "state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_what_torch_saves_is_read_as_safetensors_are(torch, tmp_path, wrapped, prefix):
    save_file(state_dict(True), tmp_path / "vgg.safetensors")
    content = {prefix + name: tensor for name, tensor in tensors(torch).items()}
    torch.save(content if wrapped is None else {wrapped: content, "epoch": 3}, tmp_path / "vgg.pt")
    expected, found = (read_state_dict(tmp_path / name) for name in ("vgg.safetensors", "vgg.pt"))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32


def test_half_precision_of_either_kind_is_read(torch, tmp_path):
    values = torch.tensor([1.5, -2.25])
    torch.save({"half": values.half(), "brain": values.bfloat16()}, tmp_path / "half.pth")
    found = read_state_dict(tmp_path / "half.pth")
    np.testing.assert_array_equal(found["half"], [1.5, -2.25])
    np.testing.assert_array_equal(found["brain"], [1.5, -2.25])


def damaged(kind, torch, path, trap):
    """A file of a kind of damage; the sentence that it gets."""
    good = tensors(torch)
    if kind == "truncated":
        torch.save(good, path)
        path.write_bytes(path.read_bytes()[:-200])
        return "is damaged"
    if kind == "cut short":
        torch.save(good, path)
        path.write_bytes(path.read_bytes()[:3])
        return "is damaged"
    if kind == "empty":
        path.write_bytes(b"")
        return "is damaged"
    if kind == "old and truncated":
        torch.save(good, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:900])
        return "is damaged"
    if kind == "another zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights.txt", "1 2 3")
        return "is damaged"
    if kind == "safetensors by another name":
        save_file(state_dict(), path)
        return "rename it to .safetensors"
    if kind == "code":
        torch.save({**good, "extra": RunsCode(trap)}, path)
        return "none of which was run"
    if kind == "a plain pickle":
        path.write_bytes(pickle.dumps(RunsCode(trap)))
        return "none of which was run"
    if kind == "a whole network":
        torch.save(torch.nn.Linear(2, 2), path)
        return "save model.state_dict() alone"
    if kind == "a number":
        torch.save({"features.0.weight": 3}, path)
        return "no plain tensor"
    if kind == "a tensor alone":
        torch.save(torch.ones(3), path)
        return "holds no state_dict"
    if kind == "without data":
        torch.save({"features.0.weight": torch.ones(3, device="meta")}, path)
        return "no data"
    if kind == "not finite":
        torch.save({**good, "features.0.bias": torch.full((5,), torch.nan)}, path)
        return "NaN or infinity"
    if kind == "whole numbers":
        torch.save({**good, "features.0.bias": torch.ones(5, dtype=torch.int32)}, path)
        return "not floating-point"
    assert kind == "another architecture"
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict(), path)
    return "neither features"


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "cut short",
        "empty",
        "old and truncated",
        "another zip",
        "safetensors by another name",
        "code",
        "a plain pickle",
        "a whole network",
        "a number",
        "a tensor alone",
        "without data",
        "not finite",
        "whole numbers",
        "another architecture",
    ],
)
def test_a_bad_file_is_one_sentence_and_nothing_is_run_or_written(capsys, torch, tmp_path, kind):
    path, trap, model = tmp_path / "bad.pt", tmp_path / "trap", tmp_path / "model"
    sentence = damaged(kind, torch, path, trap)
    arguments = ["import-torch", str(path), str(model), "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    [line] = captured.err.strip().splitlines()
    assert sentence in line
    assert captured.out == ""
    assert not trap.exists()
    assert [found.name for found in tmp_path.iterdir()] == ["bad.pt"]


def test_a_pickle_by_the_name_of_safetensors_is_named(tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(pickle.dumps(RunsCode(tmp_path / "trap")))
    with pytest.raises(StoreError, match=r"it is a pickle, as torch.save writes it; name it bad\.pt"):
        read_state_dict(path)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("length", [0x80, 0x280, 0x480])
def test_safetensors_whose_first_byte_is_that_of_a_pickle_are_read(tmp_path, length):
    """The file begins with the length of its header."""
    arrays, path = {"a": np.arange(3, dtype=np.float32)}, tmp_path / "a.safetensors"
    for padding in range(length):
        save_file(arrays, path, metadata={"padding": "x" * padding})
        start = path.read_bytes()[:8]
        if int.from_bytes(start, "little") == length:
            break
    assert start[0] == 0x80
    np.testing.assert_array_equal(read_state_dict(path)["a"], arrays["a"])


def test_without_pytorch_the_remedy_is_named(monkeypatch, tmp_path):
    importing = builtins.__import__

    def without_torch(name, *rest):
        if name.split(".")[0] == "torch":
            raise ImportError("No module named 'torch'")
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    (tmp_path / "vgg.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(StoreError, match=r"needs PyTorch to be read: 'pip install torch', or .*safetensors"):
        read_state_dict(tmp_path / "vgg.pt")
