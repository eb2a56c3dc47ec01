"""What XLA is told before it starts, in processes of their own: flags are read once in a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models import xla

ROOT = Path(__file__).parents[2]

ROWS = """
import jax, jax.numpy as jnp, numpy as np
{imports}
i = jnp.arange(40_000, dtype=jnp.float32)
rows = jnp.stack((i, 0 * i, 0 * i), axis=1)
sums = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))(rows)
print(np.allclose(np.asarray(sums, np.float64), np.arange(40_000.0) ** 2, rtol=1e-5))
"""
SUMS, EMITTERS = (f"--{name}" for name in xla.ADDED)
CHECK = "from models.xla import check_devices; check_devices(); print('checked')"


def run(program, **variables):
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    command, environment = [sys.executable, "-c", program], {"JAX_PLATFORMS": "cpu", **kept, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


MODELS, EVOPRUNE = "import models", "import evoprune; evoprune.evaluate_model"


@pytest.mark.parametrize(
    ("imports", "flags"),
    [
        (MODELS, None),
        (EVOPRUNE, "--xla_cpu_max_isa=AVX2"),
        (MODELS, "FILE"),
        pytest.param(EVOPRUNE, None, marks=pytest.mark.slow),
        pytest.param(MODELS, "--xla_cpu_max_isa=AVX2", marks=pytest.mark.slow),
        pytest.param(EVOPRUNE, "FILE", marks=pytest.mark.slow),
    ],
)
def test_sums_over_many_rows_are_right_in_every_process_that_imports_us(tmp_path, imports, flags):
    """``jit`` in jaxlib 0.10.2 is wrong from row 32,768 on without the flag."""
    (tmp_path / "flags").write_text("--xla_cpu_max_isa=AVX2\n")
    given = {} if flags is None else {"XLA_FLAGS": str(tmp_path / "flags") if flags == "FILE" else flags}
    done = run(ROWS.format(imports=imports), **given)
    assert done.stdout.split() == ["True"], done.stderr


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("0.10.2", "", f"{SUMS}= {EMITTERS}=false"),
        ("0.11.0", "--a=1 --b", f"--a=1 --b {SUMS}="),
        ("0.10.2", f"{SUMS}=dot", f"{SUMS}=dot {EMITTERS}=false"),
        ("0.10.2", f"{EMITTERS}=true {SUMS}=dot", f"{EMITTERS}=true {SUMS}=dot"),
        ("0.10.2", "/no/such/file", "/no/such/file"),
        ("0.10.1", "--a=1", f"--a=1 {EMITTERS}=false"),
        ("0.12.0", "", ""),
    ],
)
def test_flags_join_the_users_flags_where_jaxlib_needs_them(monkeypatch, version, before, after):
    monkeypatch.setattr("models.xla.version", lambda name: version)
    monkeypatch.setenv("XLA_FLAGS", before)
    for _ in range(2):
        xla.add_flags()
        assert os.environ["XLA_FLAGS"] == after


@pytest.mark.parametrize(
    "wanted", ["cuda", *(pytest.param(name, marks=pytest.mark.slow) for name in ("nonsense", "tpu"))]
)
def test_a_platform_that_is_not_here_is_named_with_those_that_are(wanted):
    done = run(CHECK, JAX_PLATFORMS=wanted)
    assert (
        f"DeviceError: JAX_PLATFORMS is '{wanted}', and JAX finds no such device here, only cpu;" in done.stderr
    )


def test_a_second_platform_takes_over():
    assert run(CHECK, JAX_PLATFORMS="cuda,cpu").stdout == "checked\n"


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--xla_nonsense=3 --xla_cpu_max_isa=AVX2", "Unknown flag in XLA_FLAGS: --xla_nonsense=3"),
        ("--xla_backend_optimization_level=abc", "Couldn't interpret value abc for flag"),
        ("/no/such/file", 'Could not open file "/no/such/file"'),
    ],
)
def test_flags_that_would_end_the_process_are_refused(flags, reason):
    done = run(CHECK, XLA_FLAGS=flags)
    assert f"DeviceError: XLA cannot follow XLA_FLAGS ({reason}" in done.stderr
    assert done.stderr.endswith("correct XLA_FLAGS or unset it.\n")


def test_flags_that_xla_knows_are_followed():
    assert run(CHECK, XLA_FLAGS="--xla_cpu_max_isa=AVX2").stdout == "checked\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RLIMIT_AS", "the limit on address space is 0.67 GiB (ulimit -v 700000) and JAX needs 2 GiB or more"),
        ("RLIMIT_DATA", "the limit on data is 0.67 GiB (ulimit -d 700000) and JAX needs 1.5 GiB or more"),
    ],
)
def test_too_little_memory_is_one_sentence(monkeypatch, name, said):
    limit = 700_000 * 1024
    program = f"import resource\nresource.setrlimit(resource.{name}, ({limit}, {limit}))\n"
    for tried in ("import models, jaxlib", "from models.xla import check_devices\ncheck_devices()"):
        failed = run(program + tried)
        *_, line = failed.stderr.strip().splitlines()
        assert said in line
    assert run(program + "import models").returncode == 0
    for enough in (xla.LEAST[name][2], xla.resource.RLIM_INFINITY):
        monkeypatch.setattr(
            xla.resource,
            "getrlimit",
            lambda kind, enough=enough: (enough if kind == getattr(xla.resource, name) else -1, -1),
        )
        xla._check_limit()
