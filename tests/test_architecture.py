"""The shape of the house: who may import whom, how large folders and modules get, and where options are spelled."""

import ast
import configparser
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "engine": {"engine"},
    "models": {"models"},
    "fitness": {"fitness", "models", "engine"},
    "experiments": {"experiments", "fitness", "models", "engine"},
}

LAYERS = {
    "engine": "errors < layout, options < contracts < search < stores < run < cluster",
    "models": (
        "errors, classes < xla < axes, git_lfs, windows < readers < contract < lowering < normalisation, fields < arrays < cost, logits < stages, "
        "output_directory < tracing < onnx < networks < model_directory < imported, pruning, widening < compensation, training, torch, "
        "onnx_import, latency < export"
    ),
    "fitness": "genome < evaluation < objective, importance < seeding",
    "experiments": (
        "progress, environment, markdown, spelling < data < measurement < training < runs < report < baselines "
        "< benchmarks < studies < demo < cli"
    ),
}
"""The modules and folders of each package; each imports only those to its left."""

USUAL_MODULES, MOST_MODULES = 15, 18
MOST_LINES = 350

SPELLS_OPTIONS = (
    "experiments/cli/",
    "experiments/spelling.py",
    "experiments/studies/",
    "experiments/benchmarks/",
)

OPTION = re.compile(r"(?<![\w(-])--[a-z]{2}[a-z-]*+(?!:)")
"""Not a property of CSS: ``--ink: black`` and ``var(--ink)``."""

TESTS_OF_NO_PACKAGE = {"tests/experiments/docs": "README.md and docs/"}


@cache
def modules(package) -> dict[str, ast.Module]:
    """The syntax tree of each module of a package, by its path from the root."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def imported(tree) -> set[str]:
    """Dotted names of all that a module imports, wherever in the module."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def packages_imported(tree) -> set[str]:
    return {name.split(".")[0] for name in imported(tree)}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    for path, tree in modules(package).items():
        strangers = packages_imported(tree) & (MAY_IMPORT.keys() - MAY_IMPORT[package])
        assert not strangers, f"{path} imports {strangers}"


def test_the_engine_knows_no_network_library():
    for path, tree in modules("engine").items():
        assert not {"flax", "optax"} & packages_imported(tree), path


def breaches():
    """All that does not fit, as sentences."""
    for package, layers in LAYERS.items():
        yield from breaches_of_order(package, layers)
        for path in modules(package):
            if len((ROOT / path).read_text().splitlines()) > MOST_LINES:
                yield f"{path} has too many lines"
            if not path.startswith(SPELLS_OPTIONS) and spells_options(modules(package)[path]):
                yield f"{path} spells options"
        for folder in {Path(path).parent for path in modules(package)}:
            names = {path for path in modules(package) if Path(path).parent == folder}
            if len(names - {f"{folder.as_posix()}/__init__.py"}) > MOST_MODULES:
                yield f"{folder.as_posix()} has too many modules"


def breaches_of_order(package, layers):
    rank = {name: place for place, layer in enumerate(layers.split(" < ")) for name in layer.strip().split(", ")}
    for path, tree in modules(package).items():
        own = Path(path).with_suffix("").parts[1]
        # A ``__main__`` is a command line of its own.
        if own == "__init__" or path.endswith("/__main__.py"):
            continue
        for name in {name.split(".")[1] for name in imported(tree) if name.startswith(f"{package}.")} - {own}:
            for known in (own, name):
                assert known in rank, f"{package}/{known} has no place in LAYERS"
            if rank[name] >= rank[own]:
                yield f"{package}/{name} is imported by {path}"


def spells_options(tree) -> bool:
    """Whether a string that is no docstring holds an option such as ``--parents``."""
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in bare
        and OPTION.search(node.value)
        for node in ast.walk(tree)
    )


def test_order_sizes_and_options_are_as_agreed():
    assert set(breaches()) == set()


def test_a_folder_has_about_15_modules():
    """A few folders may have up to 18; most have 15 or fewer."""
    sizes = {}
    for package in LAYERS:
        for path in modules(package):
            folder = Path(path).parent.as_posix()
            sizes[folder] = sizes.get(folder, 0) + (Path(path).name != "__init__.py")
    large = {folder: size for folder, size in sizes.items() if size > USUAL_MODULES}
    assert len(large) <= len(sizes) // 5, large


def test_the_folders_of_tests_are_those_of_the_packages():
    for package in LAYERS:
        for path in (ROOT / "tests" / package).rglob("test_*.py"):
            folder = path.parent.relative_to(ROOT)
            if folder.as_posix() not in TESTS_OF_NO_PACKAGE:
                assert (ROOT / folder.relative_to("tests")).is_dir(), f"{folder} tests no folder of its name"
    tested = {path.parent.relative_to(ROOT / "tests").parts[:1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert tested - {()} == {(package,) for package in LAYERS}


@pytest.mark.parametrize("package", LAYERS)
def test_every_folder_of_a_package_has_a_folder_of_tests(package):
    for folder in {Path(*Path(path).parts[:2]) for path in modules(package) if len(Path(path).parts) > 2}:
        assert list((ROOT / "tests" / folder).rglob("test_*.py")), folder


def test_everything_but_the_pool_imports_without_ray():
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "import engine.cluster.pool, fitness.evaluation.evaluator\n"
        "import experiments.cli.main, experiments.runs.search, experiments.demo\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_help_and_status_do_not_wait_for_jax():
    program = "import sys, experiments.cli.main, experiments.runs.watching.status; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_workers_import_no_more_than_what_is_shipped_to_them():
    """A node installs the packages that ``engine.cluster.shipping`` names, so a worker can need no others."""
    from engine.cluster import shipping

    program = (
        "import json, sys, engine.cluster.nodes, engine.cluster.worker, fitness.evaluation.shard_worker\n"
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
    # Flax imports the last two itself, and JAX the first if it is there.
    ours -= {"filelock", "optax", "pyyaml"}
    assert {name for name in ours if modules.get(name, name) in loaded} == set(shipping.IMPORTED)


def test_the_tests_of_a_file_run_on_one_worker(request):
    """Else their fixtures are made on each worker; pytest-xdist says nothing where it does not group."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests do not run on several workers in groups")
    assert request.node.nodeid.endswith("@test_architecture")
