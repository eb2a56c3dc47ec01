import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitness.evaluation import compilation_cache

ENABLED = """
import os, sys
from fitness.evaluation import compilation_cache
folder = compilation_cache.enable()
assert "jax" not in sys.modules
print(folder, os.environ.get("JAX_COMPILATION_CACHE_DIR"))
"""
COMPILED = (
    ENABLED
    + """
import jax, jax.numpy as jnp
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((7, 7)))
"""
)


def run(program=ENABLED, said="", **variables):
    """What a program prints; all that it says on standard error is one line with ``said``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment = {**kept, "JAX_PLATFORMS": "cpu", **variables}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == (said != ""), result.stderr
    return result.stdout.split()


def test_programs_are_kept_in_the_users_cache_and_jaxs_own_limit_works_on_them_later(tmp_path):
    folder, used = run(COMPILED, XDG_CACHE_HOME=str(tmp_path))
    assert folder == used
    assert folder.startswith(str(tmp_path / "evoprune"))
    assert any(name.endswith("-cache") for name in os.listdir(folder))
    run(COMPILED, XDG_CACHE_HOME=str(tmp_path), JAX_COMPILATION_CACHE_MAX_SIZE="100000")
    assert {path.name.rpartition("-")[2] for path in Path(folder).glob("*-*")} == {"cache", "atime"}


def test_the_users_own_choice_stands(tmp_path):
    assert run(XDG_CACHE_HOME=str(tmp_path), JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own")) == [
        "None",
        str(tmp_path / "own"),
    ]
    assert run(XDG_CACHE_HOME=str(tmp_path), JAX_ENABLE_COMPILATION_CACHE="false") == ["None", "None"]
    assert not (tmp_path / "evoprune").exists()


def test_a_cache_that_cannot_be_written_is_no_cache(tmp_path):
    (tmp_path / "file").write_text("")
    said = f"not all kept in {tmp_path}/file/evoprune/"
    assert run(XDG_CACHE_HOME=str(tmp_path / "file"), said=said) == ["None", "None"]


@pytest.mark.parametrize(
    "home",
    [
        {"HOME": ""},
        pytest.param({"HOME": "relative"}, marks=pytest.mark.slow),
        pytest.param({"XDG_CACHE_HOME": "relative"}, marks=pytest.mark.slow),
    ],
)
def test_no_home_is_no_cache(home):
    said = "not all kept in a cache folder (there is no home folder), so starts take longer"
    assert run(**{"XDG_CACHE_HOME": "", **home}, said=said) == ["None", "None"]


@pytest.fixture
def caches(tmp_path):
    """Two caches with programs of 100 bytes each, by the number of days since their last use."""

    def make(*days, size=100):
        for day in days:
            path = tmp_path / f"jax-{day % 2}" / f"{day}-cache"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes(size))
            os.utime(path, (1e9 - 86400 * day, 0))
        return tmp_path

    return make


def left(folder):
    return sorted(int(path.name.removesuffix("-cache")) for path in folder.rglob("*-cache"))


@given(st.lists(st.integers(0, 50), unique=True, max_size=12), st.integers(0, 1300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_programs_used_last_stay_as_far_as_they_fit(caches, days, largest):
    folder = caches(*days)
    compilation_cache.trim(folder, largest)
    assert left(folder) == sorted(days)[: largest // 100]
    compilation_cache.trim(folder, 0)


def test_trimming_leaves_other_files_and_removes_empty_programs(caches):
    folder = caches(1, 2)
    caches(3, size=0)
    (folder / "jax-1" / "notes").write_bytes(bytes(1000))
    (folder / "other-cache").write_bytes(bytes(1000))
    compilation_cache.trim(folder, 500)
    assert left(folder / "jax-1") + left(folder / "jax-0") == [1, 2]
    assert (folder / "jax-1" / "notes").exists()
    assert (folder / "other-cache").exists()


def test_several_processes_may_trim_at_once(caches):
    folder = caches(*range(200))
    program = "import sys; from fitness.evaluation.compilation_cache import trim; from pathlib import Path\n"
    command = [sys.executable, "-c", program + "trim(Path(sys.argv[1]), 5000)", str(folder)]
    for process in [subprocess.Popen(command) for _ in range(3)]:
        assert process.wait() == 0
    assert left(folder) == list(range(50))


def test_a_disk_that_fails_is_told_once(tmp_path):
    """The cache's folder turns into a file once the cache is on."""
    program = """
import jax, shutil
from fitness.evaluation import compilation_cache
folder = compilation_cache.enable()
shutil.rmtree(folder)
folder.write_text("")
for factor in range(3):
    jax.jit(lambda x: x * factor)(2.0)
print(folder)
"""
    (folder,) = run(
        program, XDG_CACHE_HOME=str(tmp_path), said=f"compiled programs are not all kept in {tmp_path}"
    )
    assert folder.startswith(str(tmp_path))
