"""Names of classes from the command line and from files of several kinds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError
from experiments.data.class_lists import class_list
from tests.models.support.torch_files import save
from tests.models.torch.test_torch_import import state_dict
from tests.support.command_line import refused, result_of

_G = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
_NAMES = ("tench, Tinca tinca", "goldfish", "hen")
_FORMS = {
    "lines": "\n".join(_NAMES),
    "lines of Windows": "\ufeff" + "\r\n".join(_NAMES) + "\r\n\r\n",
    "list": json.dumps(_NAMES),
    "numbered": json.dumps({str(number): name for number, name in reversed(list(enumerate(_NAMES)))}),
    "id2label": json.dumps({"id2label": dict(enumerate(_NAMES)), "hidden": 3}),
    "class_to_idx": json.dumps({name: number for number, name in enumerate(_NAMES)}),
    "synsets": json.dumps({str(number): [name, "other"] for number, name in enumerate(_NAMES)}),
}


@pytest.mark.parametrize("form", _FORMS)
def test_a_file_names_the_classes_in_the_order_of_the_outputs(tmp_path, form):
    file = tmp_path / "names.txt"
    file.write_bytes(_FORMS[form].encode())
    found = class_list(str(file))
    assert found.names == _NAMES
    assert bool(found.assumed) == (form == "synsets")


def test_names_joined_by_commas_need_no_file():
    assert class_list(" cat,dog , a b").names == ("cat", "dog", "a b")
    long = ",".join(f"class {number}" for number in range(1000))
    assert len(class_list(long).names) == 1000


@pytest.mark.parametrize(
    "value", ["cat,dog\nhen", "cat,dog\r\nhen,owl", "cat,dog\u2028hen", '["cat", "dog\\nhen"]']
)
def test_a_name_of_several_lines_is_one_sentence(tmp_path, value):
    if value.startswith("["):
        (tmp_path / "names.json").write_text(value)
        value = str(tmp_path / "names.json")
    with pytest.raises(OptionError, match=r"^`classes` has a line break in the name 'dog.*; join") as caught:
        class_list(value)
    assert len(str(caught.value).splitlines()) == 1


@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip),
        min_size=1,
    )
)
def test_a_json_list_gives_back_its_names(tmp_path_factory, names):
    file = tmp_path_factory.mktemp("names") / "names.json"
    file.write_text(json.dumps(names))
    assert class_list(str(file)).names == tuple(name.strip() for name in names)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty"),
        (b"cat\n\ndog\n", "no name in line 2"),
        (b"c\xe9t\ndog", "no text in UTF-8"),
        (b"[1, 2]", "no name for output 0"),
        (b'["cat", ""]', "no name for output 1"),
        (b'["cat", "dog"', "is not JSON"),
        pytest.param(b"[" * 100_000, "is not JSON", id="deep"),
        (b'{"1": "cat", "2": "dog"}', "does not give each number from 0 on one name"),
        (b'{"cat": 0, "dog": 0}', "does not give each number from 0 on one name"),
        (b'{"id2label": 3}', "does not give each number from 0 on one name"),
        pytest.param(b"a\n" * (9 << 20), "larger than 16 MiB", id="large"),
    ],
)
def test_a_file_that_names_no_classes_is_one_sentence(tmp_path, content, part):
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    with pytest.raises(OptionError, match=part) as caught:
        class_list(str(file))
    assert str(caught.value).startswith(f"`classes` {file}")


def test_an_import_takes_a_file_of_names(capsys, tmp_path):
    weights = save(state_dict(), tmp_path / "weights.pth")
    count = len(list(state_dict().values())[-1])
    file = tmp_path / "names.txt"
    file.write_text("\n".join(f"class {number}, kind" for number in range(count)))
    result_of(capsys, "import-torch", weights, tmp_path / "model", *_G, "--classes", file)
    named = json.loads((tmp_path / "model" / "model.json").read_text())["classes"]
    assert named == [f"class {number}, kind" for number in range(count)]
    file.write_text("one\ntwo")
    arguments = ["import-torch", weights, tmp_path / "other", *_G, "--classes"]
    refused(capsys, [*arguments, file], "--classes names 2 classes", f"has {count}")
    refused(capsys, [*arguments, tmp_path / "absent.txt"], "is no file, nor names joined by commas")
    refused(capsys, [*arguments, tmp_path], "cannot be read (", "Is a directory")
    assert not (tmp_path / "other").exists()
