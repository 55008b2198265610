# The two commands of the README are `make quickstart` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help quickstart test slow torture fuzz lint docs bench clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

help: ## Tell what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

quickstart: $(VENV)/.installed ## Two virtual machines on one network, from nothing
	$(BIN)/python -m kutti_sdk quickstart

test: $(VENV)/.installed-dev ## Everything that is tested, with real virtual machines
	$(SUDO) tests/install-system-packages
ifdef PYTEST_ARGS
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
	$(BIN)/python tests/machine_images.py & trap wait EXIT; \
	$(BIN)/python -m pytest -m "not vm and not browser" --numprocesses=$$(($$(nproc) + 1)) # many wait
	$(BIN)/python -m pytest -m "browser and not slow" # Playwright keeps an event loop running, which no other test bears
	$(BIN)/python -m pytest -m "vm and not browser and not slow" # in turn: each wants all cores
endif

slow: $(VENV)/.installed-dev ## The tests that make test leaves out, since they take minutes more
	$(SUDO) tests/install-system-packages
	$(BIN)/python -m pytest -m slow

fuzz: $(VENV)/.installed-dev ## Look for inputs that parsers do not bear; SECONDS=20 for each, TARGETS=all
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/run_fuzzers.py --seconds $(or $(SECONDS),20) $(TARGETS)

torture: $(VENV)/.installed-dev ## Every fault at every point, for hours, and the table of it
	$(SUDO) tests/install-system-packages
	records=$$(mktemp) && trap 'rm "$$records"' EXIT; \
	KUTTI_TORTURE=all KUTTI_TORTURE_RECORDS=$$records $(BIN)/python -m pytest tests/torture || status=$$?; \
	$(BIN)/python tests/torture/reliability_table.py "$$records"; exit $${status:-0}

lint: $(VENV)/.installed-dev ## Style, types, and imports that run one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev ## The documentation, into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.installed-dev ## Ratios against plain QEMU and OpenSSH
	$(SUDO) tests/install-system-packages
	$(BIN)/python -m benchmarks

clean: ## Remove what was made here; clusters stay
	rm -rf $(VENV) .workspace docs/_build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ $(SUDO) apt-get update -q && $(SUDO) apt-get install -y --no-install-recommends python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed
