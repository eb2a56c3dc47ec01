import os
import subprocess
import sys

PROGRAM = """
import sys
from fitness import compilation_cache
folder = compilation_cache.enable()
assert "jax" not in sys.modules
import jax, jax.numpy as jnp
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((7, 7)))
print(folder, jax.config.jax_compilation_cache_dir)
"""


def run(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment = {**kept, "JAX_PLATFORMS": "cpu", **variables}
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_programs_are_kept_in_the_users_cache(tmp_path):
    folder, used = run(XDG_CACHE_HOME=str(tmp_path))
    assert folder == used
    assert folder.startswith(str(tmp_path / "evoprune"))
    assert any(name.endswith("-cache") for name in os.listdir(folder))


def test_the_users_own_choice_stands(tmp_path):
    assert run(XDG_CACHE_HOME=str(tmp_path), JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own")) == [
        "None",
        str(tmp_path / "own"),
    ]
    assert run(XDG_CACHE_HOME=str(tmp_path), JAX_ENABLE_COMPILATION_CACHE="false") == ["None", "None"]
    assert not (tmp_path / "evoprune").exists()


def test_a_cache_that_cannot_be_written_is_no_cache(tmp_path):
    (tmp_path / "file").write_text("")
    assert run(XDG_CACHE_HOME=str(tmp_path / "file")) == ["None", "None"]
