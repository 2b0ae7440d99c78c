# Every verb of the project; `make` alone prints them.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SRC := crds operator agent cli e2e/damon_mock

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "python >= 3.11 is needed: install it or run make PYTHON=/path/to/python3"; exit 2; }
	@echo "setting up $(VENV) with $(PYTHON) from requirements.lock" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: setup
setup: $(STAMP) ## Create .venv from requirements.lock

.PHONY: demo
demo: setup ## Show the main job on this machine: two nodes, real processes, mock sysfs
	@$(BIN)/damon-mock demo $(ARGS)

.PHONY: test
test: setup ## Run all tests that need nothing but this machine (< 3 min)
	@$(BIN)/pytest -n 4 --dist worksteal $(ARGS)

.PHONY: check
check: setup lint types imports crds-check chart-readme-check docs-check ## Everything that needs no run: format, lint, types, imports, what is generated

.PHONY: lint
lint: setup ## Formatter and linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

.PHONY: fmt
fmt: setup ## Format and fix what can be fixed by machine
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: types
types: setup ## mypy, strict
	@$(BIN)/mypy

.PHONY: imports
imports: setup ## The arrows between rooms (import-linter)
	@$(BIN)/lint-imports

.PHONY: crds
crds: setup ## Generate crds/*.yaml from the models
	@$(BIN)/python -m damon_contract

.PHONY: crds-check
crds-check: setup ## Fail when crds/*.yaml is not what the models say
	@$(BIN)/python -m damon_contract --check

.PHONY: chart-readme-check
chart-readme-check: setup
	@$(BIN)/python helm/values_readme.py --check $(CHART)

.PHONY: bench-agent
bench-agent: setup ## Memory and CPU of an idle agent with 250 planned pods
	@$(BIN)/python bench/agent.py $(ARGS)

.PHONY: bench-forks
bench-forks: setup ## CPU of one tick of the agent when a container forks by the thousand
	@$(BIN)/python bench/forks.py $(ARGS)

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package damon-operator --custom-compile-command 'make lock'

.PHONY: bench-operator
bench-operator: setup ## CPU and memory of the operator with 10,000 pods (ARGS="--pods 100000")
	@$(BIN)/python bench/first_sync.py $(ARGS)

.PHONY: lock
lock: ## Resolve all dependencies anew: for the checkout, and for each image
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	@$(COMPILE) --all-extras --group dev --output-file requirements.lock pyproject.toml
	@for extra in operator agent cli; do $(COMPILE) --constraints requirements.lock --extra $$extra --output-file requirements-$$extra.lock pyproject.toml; done
	@echo hatchling | $(COMPILE) --constraints requirements.lock --output-file requirements-build.lock -

include cli/packaging/cli.mk
include e2e/kind/kind.mk
include e2e/vm/vm.mk
include e2e/vmnode/node.mk
include e2e/soak/soak.mk
include bench/efficacy/efficacy.mk
include helm/chart.mk
include docs/docs.mk

.PHONY: clean
clean: ## Remove what setup and the tools made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist out
