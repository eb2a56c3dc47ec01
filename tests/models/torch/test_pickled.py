"""What ``torch.save`` writes, read without PyTorch; nothing in a file is run."""

import argparse
import collections
import datetime
import decimal
import enum
import os
import pathlib
import pickle
import types

import numpy as np
import pytest

from models.errors import StoreError
from models.torch.pickled import read_legacy
from models.torch.state_dict import read_state_dict
from tests.models.support.torch_files import Global, Made, Storage, save


def assert_read(path, expected):
    found = read_state_dict(path).arrays
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["Half", "BFloat16", "Float", "Double"])
def test_numbers_of_every_precision_are_read_as_float32(tmp_path, legacy, kind):
    dtype = {"Half": np.float16, "Double": np.float64}.get(kind, np.float32)
    weights = {"features.0.weight": np.array([[1.5, -2.25], [0.0, 96.0]], dtype)}
    assert_read(save(weights, tmp_path / "a.pt", legacy=legacy, kind=kind), weights)


class Colour(enum.Enum):
    RED = 1


class Settings:
    """A class that exists only where the file was written."""

    def __init__(self):
        self.rate = 0.1


class Dotted(dict):
    __getattr__ = dict.__getitem__


BESIDE = {
    "argparse.Namespace": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("x")),
    "a NumPy scalar": np.float64(93),
    "a NumPy integer": np.int64(93),
    "a NumPy scalar of NumPy 1": Made(Global("numpy.core.multiarray", "scalar"), np.dtype("f8"), b"\0" * 8),
    "a NumPy type": np.dtype("float32"),
    "a path": pathlib.Path("x"),
    "a date": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "a decimal": decimal.Decimal("1.5"),
    "an enum": Colour.RED,
    "a mapping by an enum": {Colour.RED: 1},
    "an object": Settings(),
    "a list of objects": [Settings(), Settings()],
    "a namespace": types.SimpleNamespace(a=1),
    "a subclass of dict": Dotted(a=1),
    "a default dict": collections.defaultdict(list, a=[1]),
    "a deque": collections.deque([1, 2], 3),
    "a counter": collections.Counter("aab"),
    "a set": {1, 2},
    "bytes": b"\x80abc",
    "a class": Settings,
    "a device": Made(Global("torch", "device"), "cpu"),
    "a type of tensors": Global("torch", "float32"),
    "a type that is not installed": Made(Global("omegaconf.dictconfig", "DictConfig"), state={"_content": {}}),
    "a function that makes the object": Made(Made(Global("functools", "partial"), 1), 2),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_objects_beside_the_weights_do_not_hinder(tmp_path, vgg, beside, legacy):
    content = {"state_dict": collections.OrderedDict(vgg), "extra": beside, "epoch": 3}
    assert_read(save(content, tmp_path / "a.pt", legacy=legacy), vgg)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_numpy_in_a_plain_pickle_are_read(tmp_path, vgg, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"weights": vgg}, protocol=protocol))
    assert_read(tmp_path / "a.pkl", vgg)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "code",
    [
        lambda trap: Made(os.mkdir, str(trap)),
        lambda trap: Made(eval, f"__import__('os').mkdir({str(trap)!r})"),
        lambda trap: Made(exec, f"import os; os.mkdir({str(trap)!r})"),
        lambda trap: Made(Global("subprocess", "check_call"), ["mkdir", str(trap)]),
    ],
)
def test_code_beside_the_weights_is_named_and_not_run(tmp_path, vgg, code, legacy):
    path = save({"state_dict": vgg, "extra": code(tmp_path / "trap")}, tmp_path / "a.pt", legacy=legacy)
    with pytest.raises(
        StoreError, match=r"holds code, which was not run \((posix|nt|\w*builtin\w*|subprocess)\.\w+\)"
    ):
        read_state_dict(path)
    assert not (tmp_path / "trap").exists()


def test_a_call_that_no_list_knows_is_not_run_either(tmp_path, vgg):
    trap = tmp_path / "trap"
    path = save({"state_dict": vgg, "extra": Made(Global("pathlib", "Path.mkdir"), str(trap))}, tmp_path / "a.pt")
    assert_read(path, vgg)
    assert not trap.exists()


@pytest.mark.parametrize(
    "attack",
    [
        # Builds state into what the reader itself gives: b is BUILD, c a global.
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00functionNsb.",
        b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aNsb.",
        b"\x80\x02ctorch\nSize\n}X\x01\x00\x00\x00aNsb.",
    ],
)
def test_a_pickle_cannot_change_the_reader(tmp_path, vgg, attack):
    with pytest.raises(Exception, match=r".*"):
        read_legacy(attack)
    assert_read(save(vgg, tmp_path / "a.pt"), vgg)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_ends_anywhere_is_refused(tmp_path, legacy):
    path = save({"features.0.weight": np.ones((3, 3), np.float32)}, tmp_path / "a.pt", legacy=legacy)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(StoreError, match=r"a\.pt is (damaged|empty|neither)"):
            read_state_dict(path)


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path):
    array = np.ones((3, 3), np.float32)
    for offset, shape, strides in [
        (1, (3, 3), (3, 1)),
        (0, (3, 3), (4, 1)),
        (0, (2, 2), (-3, 1)),
        (-1, (2, 2), (3, 1)),
    ]:
        tensor = Made(
            Global("torch._utils", "_rebuild_tensor_v2"), Storage(array), offset, shape, strides, False, None
        )
        save({"features.0.weight": tensor}, tmp_path / "a.pt")
        with pytest.raises(StoreError, match=r"damaged at 'features\.0\.weight'"):
            read_state_dict(tmp_path / "a.pt")


def test_views_and_shared_storages_are_read_as_pytorch_reads_them(tmp_path):
    torch = pytest.importorskip("torch")
    row = torch.arange(120.0)
    tensors = {
        "features.0.weight": row[5:113].view(4, 3, 3, 3),
        "features.0.bias": row[:8:2],
        "features.2.weight": row[:108].view(4, 3, 3, 3).to(memory_format=torch.channels_last),
        "classifier.weight": row[:12].view(3, 4).t(),
        "classifier.bias": row[:1].expand(4),
    }
    for new in (True, False):
        for kind in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
            given = (
                {name: tensor.to(kind) for name, tensor in tensors.items()} if kind != torch.float32 else tensors
            )
            torch.save(given, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
            assert_read(tmp_path / "a.pt", {name: tensor.float().numpy() for name, tensor in given.items()})


def test_parameters_and_plain_pickles_of_tensors_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    parameters = {"fc.weight": torch.nn.Parameter(torch.ones(2, 3)), "fc.bias": torch.nn.Parameter(torch.ones(2))}
    expected = {name: tensor.detach().numpy() for name, tensor in parameters.items()}
    torch.save(parameters, tmp_path / "a.pt")
    assert_read(tmp_path / "a.pt", expected)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(parameters))
    assert_read(tmp_path / "a.pkl", expected)


@pytest.mark.parametrize("new", [True, False])
def test_whole_networks_are_refused_with_the_line_that_saves_their_weights(monkeypatch, tmp_path, new):
    torch = pytest.importorskip("torch")
    torch.save({"net": torch.nn.Linear(2, 2)}, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(
        StoreError, match=r"class torch\.nn\.modules\.linear\.Linear.*torch\.save\((.*)\['net'\]"
    ) as caught:
        read_state_dict(tmp_path / "a.pt")
    line = str(caught.value).split("save the weights by ")[1].split(" where")[0]
    monkeypatch.chdir(tmp_path)
    exec(line, {"torch": torch})
    assert read_state_dict(tmp_path / "weights.pt").arrays.keys() == {"weight", "bias"}
