# Two commands matter: `make demo` shows what smidgen does, `make test` runs the checks.
# Each makes `.venv` on its first run, and again whenever pyproject.toml changes. On Windows without make, run the lines by hand.

# The interpreter that makes the environment: the first of these that is Python 3.11 to 3.13. `make test PYTHON=python3.12` chooses.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

# Two files of tests at a time, one core each: thread pools that spin on the same cores slow one another down.
TEST_ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONUTF8=1
# In their order: the last rooms are small, and else a file of one long test would come last.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# The theme announces its successor at every build.
DOCS_ENV := NO_MKDOCS_2_WARNING=1
BASES := minilm smollm2
# What the lowest permitted versions are tested with, and on which rooms: those that need no PyTorch.
LOWEST := .venv-lowest
LOWEST_TESTS := 'pytest>=8.3' 'pytest-xdist>=3.8' 'hypothesis>=6.115' 'onnx>=1.17' 'scipy>=1.13' 'openai>=1.60'
LOWEST_ROOMS := tests/core tests/parts tests/store tests/bundles tests/stats tests/text tests/gateway tests/engines/test_onnx.py tests/server/gateway/test_transport.py

.DEFAULT_GOAL := help
.PHONY: help demo studio test test-all test-lowest lint docs reference lock sbom bench clean

help: ## What each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1|/' | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

demo: studio ## Install, fetch the starter bases, build and show the sample classifier
	$(BIN)/smidgen pull $(BASES)
	$(BIN)/smidgen demo

studio: $(VENV)/.ready-demo ## Build the Studio's page, with the machine's Node or one from PyPI
	$(BIN)/python -m tools.studio_page

test: lint docs ## The gate: lint, types, floors, docs, all tests but the thorough ones
	$(BIN)/smidgen pull $(BASES) onnx-web
	$(TEST_ENV) $(PYTEST) -m "not thorough"

test-all: lint docs ## The gate and the thorough tests: more real builds, resumed runs, simulations, Chromium
	$(BIN)/smidgen pull $(BASES) onnx-web
	$(TEST_ENV) $(PYTEST)

lint: $(VENV)/.ready-test ## Ruff, mypy, the import floors; the Studio's types, style and tests; its page is built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.studio_page --check
	@find src/smidgen -name '*.py' -not -path '*/studio/dist/*' | xargs wc -l | awk 'END { printf "src: %d lines in %d files\n", $$1, NR - 1 }'

docs: $(VENV)/.ready-test ## Build the documentation into site/; any warning fails
	$(DOCS_ENV) $(BIN)/python -m mkdocs build --strict

reference: $(VENV)/.ready-test ## Write docs/reference/ from the code
	$(BIN)/python -m tools.reference

test-lowest: ## The serving side with the lowest versions that pyproject.toml permits, in an environment of its own
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e . $(LOWEST_TESTS)
	$(TEST_ENV) $(LOWEST)/bin/python -m pytest -n 2 --dist loadfile $(LOWEST_ROOMS)

lock: | $(BIN)/python ## Write the lock files anew, with hashes; asks the package index
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.locks

sbom: | $(BIN)/python ## Write dist/sbom.cdx.json: what the serving image holds, in CycloneDX
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.locks --sbom

bench: $(VENV)/.ready-test ## Measure against peers; writes bench/RESULTS.md (long)
	$(BIN)/python -m bench

clean: ## Remove the environment and everything built in this folder
	rm -rf $(VENV) $(LOWEST) site build dist src/smidgen/studio/dist studio/node_modules studio/openapi.json studio/src/api/schema.d.ts demo out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 was found. Install one, or name it: make demo PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,retail,plans,desk]'
	@touch $@

$(VENV)/.ready-test: pyproject.toml requirements/ci.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/ci.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,test,docs]'
	@touch $@ $(VENV)/.ready-demo
