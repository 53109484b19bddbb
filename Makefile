# The commands of the README. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install run ui test soak bench lint docs docs-serve notebooks pictures lock stop clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DOCS_STAMP := .venv/.docs-installed
# MkDocs' theme prints advice to change to another generator at every build.
export NO_MKDOCS_2_WARNING := 1

# Without bytecode every start imports from source for ever: 25 to 45 s instead of 6.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

$(STAMP): requirements.lock infra/bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "Python 3.11 or 3.12 is needed; name one: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/bootstrap.lock
	@index=$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true); \
	  [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP) ## Create .venv from the hash-locked requirements

run: $(STAMP) ## Public data to a published release
	@$(BIN)/genept run

ui: $(STAMP) ## The Dagster UI on 127.0.0.1
	@$(BIN)/genept ui

test: $(STAMP) lint ## Lint, types, floors, and the tests
	$(BIN)/pytest

soak: $(STAMP) ## The tests that `make test` leaves out: slow ones, many nights, many kills
	$(BIN)/pytest -m "slow or soak"

bench: $(STAMP) ## Measure, side by side with what it is compared to
	@for bench in tests/bench/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

lint: $(STAMP) ## Lint, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(DOCS_STAMP): $(STAMP) infra/docs.lock
	@index=$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true); \
	  [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r infra/docs.lock
	@touch $@

docs: $(DOCS_STAMP) ## The site of docs/ into dist/site, warnings as errors
	$(BIN)/mkdocs build --strict --quiet

notebooks: $(STAMP) ## Run the notebooks from an installed wheel; the next site shows what they print
	$(BIN)/pytest -n 0 -m slow tests/test_notebooks.py

pictures: $(STAMP) ## Draw the pictures of docs/images anew, of the UI and of a demo release
	$(BIN)/python infra/docs/draw_pictures.py

docs-serve: $(DOCS_STAMP) ## The site on 127.0.0.1:8000, built anew when a page changes
	$(BIN)/mkdocs serve --dev-addr 127.0.0.1:8000

lock: $(STAMP) ## Resolve the locks anew from pyproject.toml
	$(BIN)/uv pip compile infra/bootstrap.in -o infra/bootstrap.lock --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11 --quiet
	$(BIN)/uv pip compile pyproject.toml --extra dev -o requirements.lock --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11 --quiet
	$(BIN)/uv pip compile pyproject.toml --extra docs --constraint requirements.lock -o infra/docs.lock --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11 --quiet

stop: ## Stop the embedded object store
	@$(BIN)/genept store stop

clean: stop ## Remove the environment and all state, the store's data included
	rm -rf .venv .genept
