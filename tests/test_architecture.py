"""Imports run one way only: experiments -> fitness -> models, engine; those two know nobody."""

import ast
import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "engine": {"engine"},
    "models": {"models"},
    "fitness": {"fitness", "models", "engine"},
    "experiments": {"experiments", "fitness", "models", "engine"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        strangers = set(imported(path)) & (MAY_IMPORT.keys() - MAY_IMPORT[package])
        assert not strangers, f"{path} imports {strangers}"


def test_the_engine_knows_no_network_library():
    for path in (ROOT / "engine").rglob("*.py"):
        assert not {"flax", "optax"} & set(imported(path)), path


def test_everything_but_the_pool_imports_without_ray():
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "import engine.pool, fitness.evaluator, experiments.cli, experiments.search_run, experiments.demo\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_help_and_status_do_not_wait_for_jax():
    program = "import sys, experiments.cli, experiments.status; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_workers_import_no_more_than_what_is_shipped_to_them():
    """What ``engine.shipping`` names: installed where it is missing, so everything else must be unnecessary."""
    from engine import shipping

    program = (
        "import json, sys, engine.cluster_nodes, engine.worker, fitness.shard_worker\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True).stdout
    loaded = set(json.loads(output))
    assert set(shipping.PACKAGES) <= loaded
    assert "experiments" not in loaded
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    modules = {"pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    ours = {line.split(" ")[0] for line in metadata["options"]["install_requires"].strip().split("\n")}
    # Flax itself imports these.
    ours -= {"optax", "pyyaml"}
    assert {name for name in ours if modules.get(name, name) in loaded} == set(shipping.IMPORTED)
