import configparser
import json
import zipfile
from pathlib import Path

import pytest

from engine.cluster import shipping
from engine.cluster.options import PoolOptions
from engine.errors import BackendError, OptionError

NEEDED = {"flax": "<0.14,>=0.12", "jax": "<0.13,>=0.10", "numpy": "<3,>=2.0"}
WHOLE = {"flax": "0.12.8", "jax": "0.10.2", "numpy": "2.4.6"}


def test_our_packages_go_without_pip_where_nothing_is_missing():
    environment = shipping.runtime_env(shipping.our_packages())
    assert [Path(path).name for path in environment["py_modules"]] == ["engine", "models", "fitness"]
    assert all((Path(path) / "__init__.py").exists() for path in environment["py_modules"])
    assert environment["excludes"] == ["__pycache__"]
    assert "pip" not in environment


def test_ray_uploads_sources_alone_and_few_of_them(tmp_path):
    packaging = pytest.importorskip("ray._private.runtime_env.packaging")
    environment = shipping.runtime_env(shipping.our_packages())
    size, names = 0, set()
    for path in environment["py_modules"]:
        package = tmp_path / f"{Path(path).name}.zip"
        packaging.create_package(
            path, package, include_gitignore=True, include_parent_dir=True, excludes=environment["excludes"]
        )
        size += package.stat().st_size
        names |= set(zipfile.ZipFile(package).namelist())
    assert {
        "engine/cluster/worker.py",
        "models/lowering/choice.py",
        "fitness/evaluation/shard_worker.py",
    } <= names
    assert all(name.endswith(".py") for name in names)
    assert size < 1_500_000


def test_ray_takes_the_environment():
    runtime_env = pytest.importorskip("ray.runtime_env")
    environment = shipping.runtime_env(shipping.our_packages(), ["flax<0.14,>=0.12"])
    assert runtime_env.RuntimeEnv(**environment)["pip"]["packages"] == ["flax<0.14,>=0.12"]


def test_needed_versions_come_from_the_metadata():
    metadata = configparser.ConfigParser()
    metadata.read(Path(__file__).parents[3] / "setup.cfg")
    lines = metadata["options"]["install_requires"].split("\n")
    for name, versions in shipping.needed().items():
        [line] = [line for line in lines if line.split(" ")[0] == name]
        assert sorted(line.removeprefix(name).strip().split(",")) == sorted(versions.split(","))


def test_needed_versions_come_from_an_installed_distribution(monkeypatch, tmp_path):
    monkeypatch.setattr("engine.__path__", [str(tmp_path / "engine")])
    monkeypatch.setattr(
        shipping.metadata,
        "requires",
        lambda _: ["flax<2,>=1", "jax", "msgspec>=0.19", "numpy==3", "threadpoolctl", 'torch; extra == "bench"'],
    )
    assert shipping.needed() == {
        "flax": "<2,>=1",
        "jax": "",
        "msgspec": ">=0.19",
        "numpy": "==3",
        "threadpoolctl": "",
    }
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = another\n")
    assert shipping.needed()["numpy"] == "==3"


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([WHOLE, WHOLE], []),
        ([WHOLE, {**WHOLE, "flax": None}], ["flax<0.14,>=0.12", "jax==0.10.2"]),
        ([{**WHOLE, "flax": "0.11.0"}], ["flax<0.14,>=0.12", "jax==0.10.2"]),
        ([{**WHOLE, "flax": None, "numpy": "1.26"}], ["flax<0.14,>=0.12", "numpy<3,>=2.0", "jax==0.10.2"]),
        ([{**WHOLE, "jax": "0.12.1.dev3"}], []),
        # Nodes that an autoscaler has yet to start: pip leaves alone what is there.
        ([], ["flax<0.14,>=0.12", "numpy<3,>=2.0"]),
    ],
)
def test_pip_installs_all_that_some_node_lacks(nodes, expected):
    assert shipping.lacking(NEEDED, nodes) == expected


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        (
            [WHOLE, {**WHOLE, "jax": None}],
            r"must have jax<0\.13,>=0\.10 .* have 0\.10\.2, none; install it there",
        ),
        ([{**WHOLE, "jax": "0.9.1"}], r"have 0\.9\.1; install it there"),
        (
            [{**WHOLE, "flax": None}, {**WHOLE, "jax": "0.11.0"}],
            r"different versions of jax \(0\.10\.2, 0\.11\.0\)",
        ),
    ],
)
def test_jax_is_never_installed_or_replaced(nodes, sentence):
    with pytest.raises(BackendError, match=sentence):
        shipping.lacking(NEEDED, nodes)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.yaml", "pip: [flax]\nenv_vars: {A: '1'}\n"), ("a.json", '{"pip": ["flax"], "env_vars": {"A": "1"}}')],
)
def test_files_of_runtime_environments(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert shipping.read_runtime_env(str(tmp_path / name)) == {"pip": ["flax"], "env_vars": {"A": "1"}}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.yaml", None, "cannot read `runtime_env` .*: No such file"),
        ("a.yaml", "pip: [", "neither JSON nor YAML"),
        ("a.json", "{", "neither JSON nor YAML"),
        ("a.yaml", b"\xff\xfe\x00", "neither JSON nor YAML"),
        ("a.yaml", "- pip\n", "must hold an object"),
        ("a.yaml", "", "must hold an object"),
        ("a.yaml", "1: pip\n", "must hold an object"),
    ],
)
def test_files_that_are_no_runtime_environment(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OptionError, match=sentence) as raised:
        shipping.read_runtime_env(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_a_ray_job_is_known_by_its_configuration(monkeypatch):
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert not shipping.in_a_ray_job()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({}))
    assert shipping.in_a_ray_job()


def test_the_jobs_variable_is_rays():
    constants = pytest.importorskip("ray._private.runtime_env.constants")
    assert constants.RAY_JOB_CONFIG_JSON_ENV_VAR == shipping._JOB_CONFIG


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "head.example.org:6379", "ray://[::1]:10001"])
def test_addresses(address):
    assert PoolOptions(address=address).address == address


@pytest.mark.parametrize("address", ["", "local", "10.0.0.1", "ray://head", "http://head:8265", "a b:1"])
def test_invalid_addresses_are_refused(address):
    with pytest.raises(OptionError, match="`address` must be auto, HOST:PORT or ray://HOST:10001"):
        PoolOptions(address=address)


def test_a_runtime_environment_needs_a_cluster():
    with pytest.raises(OptionError, match="`runtime_env` is for the nodes of a cluster; give its `address`"):
        PoolOptions(runtime_env="a.yaml")
