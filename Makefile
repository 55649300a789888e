# Each target sets up what it needs in .venv; a bare machine needs Python 3.11 or newer and make. The lock files are
# complete: without --no-deps older pips look for the newest release of a package that another asks for with an extra.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help run demo test lint check litellm corpus bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "chatwatch: no '$(PYTHON)' found: install Python 3.11 or newer, or name it with make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "chatwatch: $$($(PYTHON) -V) is too old: Python 3.11 or newer is needed; name it with make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "chatwatch: Python's venv module is missing: on Debian run apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## the whole system against a simulated vendor, replaying January 2025
	@$(BIN)/chatwatch demo

run: $(READY) ## watch what probes.yaml names, with SQLite under var/
	@$(BIN)/chatwatch up

test: $(READY) ## all tests; what a machine lacks is named and skipped
	@$(BIN)/python -m compileall -q -j 0 monitor dashboard # once, not in each process
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## style, types, floors and declared imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry --no-ansi monitor dashboard
	@$(BIN)/deptry --no-ansi tests --ignore DEP002,DEP004

check: lint test ## style, types, floors, declared imports and tests: what CI runs

litellm: .venv-litellm/.ready ## LiteLLM's proxy in an environment of its own, for the test against a foreign server

.venv-litellm/.ready: tests/edges/litellm/requirements.lock $(READY)
	@echo "Setting up .venv-litellm (once, about a minute) …"
	@test -x .venv-litellm/bin/python || $(PYTHON) -m venv .venv-litellm
	@.venv-litellm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/edges/litellm/requirements.lock
	@touch $@

corpus: .venv-corpus/.ready ## the vendors' libraries and further servers, for python -m tests.corpus (at a release)

.venv-corpus/.ready: tests/corpus/requirements.lock $(READY)
	@echo "Setting up .venv-corpus (once, about a minute) …"
	@test -x .venv-corpus/bin/python || $(PYTHON) -m venv .venv-corpus
	@.venv-corpus/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/corpus/requirements.lock
	@touch $@

bench: $(READY) ## performance side by side, printed as ratios
	@$(BIN)/python -m tests.bench

lock: $(READY) ## pin the dependencies of pyproject.toml again
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras --group dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate tests/edges/litellm/requirements.in -o tests/edges/litellm/requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate tests/corpus/requirements.in -o tests/corpus/requirements.lock

clean: ## remove .venv and the caches; databases under var/ stay
	@rm -rf $(VENV) .venv-litellm .venv-corpus .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
