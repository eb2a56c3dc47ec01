# Everything runs in the project's own virtual environment; nothing else has to be installed but Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/installed
BENCH := $(VENV)/installed-bench

.PHONY: demo test lint bench clean

demo: $(SETUP)
	@rm -rf demo-run
	$(BIN)/evoprune demo demo-run

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BENCH)
	$(BIN)/python -m experiments.benchmarks.generations

$(SETUP): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(BENCH): $(SETUP)
	$(BIN)/python -m pip install --quiet --editable '.[bench,dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo-run build dist *.egg-info
