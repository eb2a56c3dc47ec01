"""Weights files by their content: whatever the name, and one sentence for each file that is of another kind."""

import gzip
import json
import os
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from experiments.cli import main
from models.errors import StoreError
from models.torch.state_dict import read_state_dict
from tests.models.support.torch_files import save

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    "name", ["vgg.pt", "vgg.pth", "model_best.pth.tar", "vgg.ckpt", "vgg.bin", "vgg.safetensors", "vgg"]
)
def test_the_content_decides_and_not_the_name(tmp_path, vgg, name):
    for write in (save, save_file, lambda arrays, path: save(arrays, path, legacy=True)):
        write(vgg, tmp_path / name)
        found = read_state_dict(tmp_path / name)
        assert found.assumed == ()
        assert found.arrays.keys() == vgg.keys()
        for array in vgg:
            np.testing.assert_array_equal(found.arrays[array], vgg[array])


def test_safetensors_of_every_precision_are_read_as_float32(tmp_path):
    values = np.array([[1.5, -2.25], [0.0, 96.0]])
    for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
        write_safetensors(tmp_path / "a.safetensors", {"a.weight": values.astype(kind)})
        found = read_state_dict(tmp_path / "a.safetensors").arrays["a.weight"]
        np.testing.assert_array_equal(found, values)
        assert found.dtype == np.float32


@pytest.mark.parametrize("kind", ["float8_e4m3", "float8_e5m2"])
def test_types_without_a_counterpart_are_named(tmp_path, kind):
    write_safetensors(tmp_path / "a.safetensors", {"a.weight": np.ones((2, 2), np.dtype(kind))})
    with pytest.raises(StoreError, match=f"'a.weight' holds {kind}; save the weights as float32"):
        read_state_dict(tmp_path / "a.safetensors")


def write_safetensors(path, arrays):
    """The format by its definition: the length of a JSON header, the header, the numbers."""
    codes = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        code = codes.get(array.dtype.name, array.dtype.name.upper().replace("FLOAT", "F"))
        place = [len(numbers), len(numbers) + array.nbytes]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": place}
        numbers += array.tobytes()
    start = json.dumps(header).encode()
    path.write_bytes(len(start).to_bytes(8, "little") + start + numbers)


@pytest.mark.parametrize("length", [0x80, 0x280, 0x480])
def test_safetensors_whose_first_byte_is_that_of_a_pickle_are_read(tmp_path, length):
    """The file begins with the length of its header."""
    arrays, path = {"a.weight": np.ones((3, 3), np.float32)}, tmp_path / "a.safetensors"
    for padding in range(length):
        save_file(arrays, path, metadata={"padding": "x" * padding})
        start = path.read_bytes()[:8]
        if int.from_bytes(start, "little") == length:
            break
    assert start[0] == 0x80
    np.testing.assert_array_equal(read_state_dict(path).arrays["a.weight"], arrays["a.weight"])


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".pkl", content)


STRANGERS = {
    b"": "is empty",
    LFS: r"is a pointer of Git LFS, not the file itself; run 'git lfs pull'",
    b"<!DOCTYPE html>\n<html>": "is a web page, not weights; download the file",
    b"\n  <html lang='en'>": "is a web page",
    b"<?xml version='1.0'?><Error>": "is a web page",
    b'{"weights": []}': "is JSON",
    gzip.compress(b"weights", mtime=0): "compressed by gzip.*unpack",
    b"BZh91AY": "compressed by bzip2",
    b"7z\xbc\xaf\x27": "7z archive",
    b"x" * 257 + b"ustar\0": "tar archive",
    b"\x89HDF\r\n": "HDF5, as Keras writes",
    b"\x93NUMPY\x01": "one NumPy array",
    b"Entry not found": "neither safetensors nor what torch.save writes",
    b"\0" * 100: "neither safetensors nor what torch.save writes",
    b"\x80\x02": "is damaged",
    b"PK\x03\x04": "is damaged",
}


@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors"])
@pytest.mark.parametrize("content", STRANGERS)
def test_a_file_of_another_kind_is_one_sentence_and_nothing_is_written(capsys, tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    arguments = ["import-torch", str(path), str(tmp_path / "model"), "--mean", "0.5", "--std", "0.2"]
    assert main.run(arguments) == 2
    captured = capsys.readouterr()
    *_, line = captured.err.strip().splitlines()
    with pytest.raises(StoreError, match=STRANGERS[content]):
        raise StoreError(line)
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_archives_of_other_kinds_are_named(tmp_path):
    zip_of(tmp_path / "script.pt", script__data=b"", script__constants=b"", script__code=b"")
    with pytest.raises(StoreError, match=r"TorchScript.*torch\.jit\.load\('script\.pt'\)\.state_dict\(\)"):
        read_state_dict(tmp_path / "script.pt")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    with pytest.raises(StoreError, match=r"not of torch\.save \(it holds a\.npy\)"):
        read_state_dict(tmp_path / "arrays.npz")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(StoreError, match=r"index of weights in several files.*load_file and save_file"):
        read_state_dict(tmp_path / "model.safetensors.index.json")
    save_file({"a.weight": np.ones((2, 2), np.float32)}, tmp_path / "model-00001-of-00003.safetensors")
    with pytest.raises(StoreError, match="is one of 3 files of a network; merge them"):
        read_state_dict(tmp_path / "model-00001-of-00003.safetensors")


def test_folders_pipes_and_missing_files_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in {"": "is a folder", "pipe": "is a pipe or a device", "nothing": "is missing"}.items():
        with pytest.raises(StoreError, match=sentence):
            read_state_dict(tmp_path / name)


def test_weights_from_a_big_endian_machine_are_refused(tmp_path, vgg):
    path = save(vgg, tmp_path / "a.pt")
    path.write_bytes(path.read_bytes().replace(b"little", b"biggie"))
    with pytest.raises(StoreError, match="is damaged"):
        read_state_dict(path)
