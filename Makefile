# make up      starts the whole system on this machine; the first time it installs what is missing
# make down    stops it
# make test    lint, then unit, integration and end-to-end tests on real parts
# make chaos   kills and other faults under load on a system of its own: SEED=7 MINUTES=10
#              TELEMETRY=1: backends away, the collector and a service killed; is all stored?
# make load    customers at the gateway of a running system, until it no longer keeps up; a report
# make web     builds the web app where its sources have changed; make up and make test do it, too
# make bench   measured comparisons, into docs/performance.md; one of them: make bench ONLY=publish
#
# ARGS goes to the command: make test ARGS='-k orders', make up ARGS='--help'

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
TESTS := tests/unit tests/integration tests/end_to_end tests/chaos
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
ONLY ?=
# Three workers side by side, each with one file after the other (tests/conftest.py), in this order; ARGS=-n0
# runs all in one process.
WORKERS := -n 3 --no-loadscope-reorder

# The newest Python from 3.11 on that answers: a version manager's shim may be there and not work.
NAMES := $(shell seq -f 'python3.%g' 29 -1 11) python3 python
PYTHON ?= $(shell for name in $(NAMES); do \
	path=$$(command -v $$name) && \
	$$path -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$path && break; done)

.PHONY: help up down test test-verbose chaos load web bench lint build clean

help:
	@sed -n 's/^# \(make\)/\1/p' Makefile

up: $(VENV)/.weft-run web
	@$(BIN)/weft up $(ARGS)

down: $(VENV)/.weft-run
	@$(BIN)/weft down $(ARGS)

test: lint web
	@$(BIN)/python -m pytest -q $(WORKERS) $(TESTS) $(ARGS)

test-verbose: lint web
	@$(BIN)/python -m pytest -v $(WORKERS) $(TESTS) $(ARGS)

chaos: $(VENV)/.weft-dev
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(TELEMETRY),--telemetry) $(ARGS)

load: $(VENV)/.weft-dev
	@$(BIN)/python -m benchmarks.load $(ARGS)

web: $(VENV)/.weft-run
	@$(BIN)/python -m stack.web_app

bench: $(VENV)/.weft-dev
	@$(BIN)/python -m benchmarks.bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

lint: $(VENV)/.weft-dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary examples

build: $(VENV)/.weft-run web
	@mkdir -p dist
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

clean:
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find weft services stack tests benchmarks -name __pycache__ -prune -exec rm -rf {} + \
		2>/dev/null || true

# An environment that an interrupted run left half made, or whose Python is gone, is made anew.
$(VENV)/.weft-python:
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		sh stack/parts/python-venv.sh '$(PYTHON)' $(VENV); \
	fi
	@touch $@

$(VENV)/.weft-run: requirements.lock pyproject.toml $(VENV)/.weft-python
	@echo "installing Weft into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.weft-dev: requirements-dev.lock $(VENV)/.weft-run
	@echo "installing the tools for development into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
