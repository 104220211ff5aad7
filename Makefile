# What a person types. `make help` lists it. Everything lives in .venv; nothing else is installed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
CLAUDE_VERSION ?= 2.1.328
MEMBERS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml)))

.DEFAULT_GOAL := help
.PHONY: help install demo test chaos test-claude test-docker check bench behaviour examples pin clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## make .venv with everything, versions pinned by hash

$(VENV)/.installed: requirements-dev.txt $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

demo: install ## carry one task from To Analyse to done on this machine
	$(BIN)/conveyor demo

test: install ## every test that needs no Docker and no browser
	$(BIN)/python -m pytest -n 3 -m "not docker and not slow and not claude"

chaos: install ## kill engines between any two of their steps, the later moments of a task's life too
	$(BIN)/python -m pytest -n 2 tests/chaos

test-docker: install ## the images and the demo in containers, each service killed once; needs a Docker engine
	$(BIN)/python -m pytest -m docker tests/e2e

test-claude: install ## the runner with the real Claude CLI of CLAUDE_VERSION from npm, against a mock of its API
	folder=$$(mktemp -d) && trap "rm -rf $$folder" EXIT \
	&& npm install --silent --no-audit --no-fund --prefix $$folder @anthropic-ai/claude-code@$(CLAUDE_VERSION) \
	&& CONVEYOR_TEST_CLAUDE=$$(ls $$folder/node_modules/@anthropic-ai/claude-code-*/claude) \
	   $(BIN)/python -m pytest -m claude tests/scenarios/runner

check: install ## style, types, directions of imports, shape of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

bench: install ## the figures: one JSON object a line
	$(BIN)/python -m tests.benchmarks

behaviour: install ## every row of docs/behaviour.md with the tests that prove it
	$(BIN)/python tests/architecture/behaviour_report.py

examples: install ## write deploy/env.example and deploy/conveyor.toml.example anew from the settings
	$(BIN)/python -m tools.examples

pin: install ## compile the requirements files anew (hashes, no index host)
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements-dev.in -c requirements.txt -o requirements-dev.txt

clean: ## remove .venv, caches and the demo's data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .conveyor
