# Everything runs in the project's own virtual environment; nothing else has to be installed but Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/installed
DEV := $(VENV)/installed-dev
BENCH := $(VENV)/installed-bench
# Each test process has one thread for BLAS, so that two processes do not compete for two cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder
# XLA would spend a third of the tests' time on optimising and splitting programs of toys. The slow tests run with all
# optimisations.
QUICK := XLA_FLAGS="$$XLA_FLAGS --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
NUMERIC := tests/fitness tests/models
TORCH ?= torch >=2.6,<3
WITH_TORCH := tests/models/torch tests/models/export tests/experiments/docs/test_deployment.py \
	tests/experiments/benchmarks/test_thesis_script.py tests/experiments/benchmarks/speed

.PHONY: demo reproduce test test-slow test-torch lint bench clean

demo: $(SETUP)
	@rm -rf demo-run
	$(BIN)/evoprune demo demo-run

# The experiments of the five documents in their quick form, on embedded images. It says how to run them in full.
reproduce: $(SETUP)
	@rm -rf reproduce-run
	$(BIN)/evoprune reproduce all reproduce-run --quick

# What every change has to pass; minutes.
test: lint
	$(QUICK) $(PYTEST) -m "not slow"

# What runs each night: reproductions, long series of kills, clusters, S3 and the wheel; then the numeric tests with the
# instructions of older processors.
test-slow: $(DEV)
	$(PYTEST) -m slow
	XLA_FLAGS=--xla_cpu_max_isa=AVX2 $(PYTEST) -m "not slow" $(NUMERIC)
	XLA_FLAGS=--xla_cpu_max_isa=SSE4_2 $(PYTEST) -m "not slow" $(NUMERIC)

# PyTorch is the reference of imports and exports. It is large, so the tests that need it are skipped without it.
test-torch: $(DEV)
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(PYTEST) $(WITH_TORCH)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BENCH)
	$(BIN)/python -m experiments.benchmarks.generations

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(SETUP): $(VENV)/made setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEV): $(VENV)/made setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(SETUP) $@

$(BENCH): $(SETUP)
	$(BIN)/python -m pip install --quiet --editable '.[bench,dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo-run reproduce-run build dist *.egg-info
