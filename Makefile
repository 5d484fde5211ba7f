# `make demo` and `make test` do everything on a machine that has git, make and Python 3.11 or newer. What a step has
# made is its stamp, inside the folder it vouches for: remove a folder and it is made anew.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := .venv/bin
# Node, npm and every tool come from the environment, never from the machine.
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

PYTHON ?=
ARGS ?=
PYTEST_ARGS ?=
DEV_PORT ?= 8321

VENV := .venv/.ready
NODE_MODULES := web/node_modules/.ready
GENERATED := web/src/shared/api/generated
API := $(GENERATED)/endpoints.ts
WEB_APP := devteam/web_app/index.html

# Folders are listed too: their time changes when a file is removed.
WEB_SOURCES := $(shell find web/src web/public -path $(GENERATED) -prune -o -print 2>/dev/null) \
	web/index.html web/package.json web/tsconfig.json web/vite.config.ts

## Everyday

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } \
		/^## / { printf "\n%s\n", substr($$0, 4) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@printf '\n  ARGS="…" goes to the demo, PYTEST_ARGS="…" to pytest, PYTHON=… names the Python to use.\n'

.PHONY: demo
demo: setup ## Five customers' queues worked through on real repositories, live on one page (ARGS="--help")
	@$(BIN)/devteam demo $(ARGS)

.PHONY: test
test: setup system-packages ## Every test: the web app's, then the engine's with real processes, PostgreSQL and Chromium
	@cd web && npm run --silent test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: setup ## The tests that start no process: seconds
	@cd web && npm run --silent test
	@$(BIN)/python -m pytest tests/unit $(PYTEST_ARGS)

.PHONY: check
check: setup ## Linters, types, layers, formats, locks and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_files.py
	$(BIN)/python tools/check_generated.py
	cd web && npm run --silent typecheck
	@$(MAKE) --no-print-directory web-lint

.PHONY: web-lint
web-lint: $(NODE_MODULES)
	cd web && npm run --silent lint

.PHONY: format
format: setup ## Bring the code into its format, and fix what the linters can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	cd web && npx biome check --write .

.PHONY: dev
dev: setup ## An engine, and the web app with live reload beside it
	@(cd web && DEVTEAM_URL=http://127.0.0.1:$(DEV_PORT) exec npm run --silent dev) & page=$$!; \
	trap 'kill $$page 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	DEVTEAM_ALLOWED_ORIGINS='["http://127.0.0.1:5173"]' $(BIN)/devteam up --port $(DEV_PORT) --no-browser $(ARGS)

## Building

.PHONY: setup
setup: $(VENV) $(WEB_APP) ## Everything into .venv and web/node_modules, and the web app into devteam/web_app

.PHONY: wheel
wheel: setup ## The package with the web app inside, into dist/
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

.PHONY: contracts
contracts: $(VENV) ## Write contracts/, the state diagrams, and the web app's endpoints from them
	@$(BIN)/python -m devteam.entrypoints.contracts
	@$(BIN)/python -m devteam.entrypoints.state_diagrams
	@$(MAKE) --no-print-directory $(API)

# Locks are made on the oldest Python that is supported, whose packages serve the newer ones too.
COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --annotation-style=line \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options
.PHONY: lock
lock: $(VENV) ## Pin the dependencies anew after a change of pyproject.toml or package.json (ARGS=--upgrade)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Locks are made on Python 3.11.")'
	$(COMPILE) $(ARGS) --extra demo --extra dev --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --no-annotate --constraint requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml
	cd web && npm install --package-lock-only
	$(BIN)/python tools/check_files.py

.PHONY: clean
clean: ## Remove everything that was made here; the next setup starts from nothing
	rm -rf .venv web/node_modules devteam/web_app $(GENERATED) dist build test-results .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find devteam tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the steps of `setup` ---------------------------------------------------------------------------------------------

.venv/bin/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then unfinished="$$python"; continue; fi; \
			echo "Making .venv with $$("$$python" --version) ..."; \
			exec "$$python" -m venv --clear .venv; \
		fi; \
	done; \
	if [ -n "$$unfinished" ]; then \
		echo "$$unfinished cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; \
	else \
		echo "DevTeam needs Python 3.11 or newer; none was found. PYTHON=/path/to/python names one." >&2; \
	fi; \
	exit 1

$(VENV): requirements/dev.txt pyproject.toml | .venv/bin/python
	@echo "Installing Python packages into .venv (a minute or two the first time) ..."
	@$(BIN)/python -m pip --disable-pip-version-check install -qq --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip --disable-pip-version-check install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_MODULES): web/package-lock.json web/package.json web/.npmrc | $(VENV)
	@echo "Installing the web app's packages ..."
	@cd web && npm ci --silent --no-audit --no-fund
	@touch $@

$(API): contracts/openapi.json web/openapi-codegen.config.cjs $(NODE_MODULES)
	@mkdir -p $(GENERATED)
	@cd web && npm run --silent codegen
	@touch $@

$(WEB_APP): $(WEB_SOURCES) $(API) $(NODE_MODULES)
	@echo "Building the web app ..."
	@cd web && npm run --silent build -- --logLevel warn
	@touch $@

# --- what the tests need from Debian ----------------------------------------------------------------------------------

.PHONY: system-packages
system-packages:
	@missing=; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	[ -z "$$missing" ] || { \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
			echo "The tests need$$missing. As root: apt-get update && apt-get install --yes$$missing" >&2; exit 1; \
		fi; \
		echo "Installing$$missing ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install --yes -qq --no-install-recommends $$missing >/dev/null; \
	}
