# Every target does its own set-up. `make demo` and `make test` need a Debian machine with Python 3.11, nothing else.

.PHONY: demo test test-all test-lowest lint fmt lock bench golden clean
.DELETE_ON_ERROR:

PYTHON ?= python3.11
BIN := .venv/bin
WORKERS ?= 2
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

demo: .venv/.run
	$(BIN)/python examples/demo/run.py

test: lint .venv/.servers
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: lint .venv/.servers
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 3600

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: .venv/.dev .venv/.servers
	$(BIN)/python -m pytest tests/golden --rewrite

bench: .venv/.dev .venv/.servers
	$(BIN)/python -m benchmarks.planning

# Versions and hashes, no addresses. The lock of the demo follows the one of development.
lock: .venv/.dev
	$(COMPILE) --upgrade pyproject.toml requirements/build.in --extra dev -o requirements/dev.lock
	$(COMPILE) pyproject.toml requirements/build.in --extra all -c requirements/dev.lock -o requirements/run.lock
	$(COMPILE) --upgrade requirements/tpcds.in -o requirements/tpcds.lock
	$(COMPILE) --upgrade requirements/dbt.in -o requirements/dbt.lock
	$(COMPILE) --upgrade requirements/superset.in -o requirements/superset.lock

# The lower bounds of pyproject.toml are true: the suite passes with the oldest direct dependencies that they allow.
test-lowest: .venv/.dev .venv/.servers
	rm -rf build/lowest && mkdir -p build
	$(PYTHON) -m venv build/lowest
	$(COMPILE) --no-universal --resolution lowest-direct pyproject.toml requirements/build.in --extra dev -o build/lowest.lock
	build/lowest/bin/python -m pip install --quiet --require-hashes -r build/lowest.lock
	build/lowest/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	build/lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	.ci/venv $(PYTHON)

.venv/.run: .venv/bin/python requirements/run.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/.dev: .venv/bin/python requirements/dev.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/.servers: .venv/bin/python .ci/servers
	.ci/servers
	touch $@
