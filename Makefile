# Every target makes what it needs; Python 3.11 or newer and make are enough. ARGS="…" is passed on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test stress mutate lint serve bench assets

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## a virtual environment in .venv, with .venv/bin/metrograph

$(STAMP): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP) ## usage in, invoices out, delivered to sandbox providers; then serves
	$(BIN)/metrograph demo $(ARGS)

serve: $(STAMP) ## migrate, check settings, serve HTTP
	$(BIN)/metrograph serve $(ARGS)

test: $(STAMP) ## every test, on a private PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)
	$(BIN)/metrograph scenario run tests/golden --pending tests/golden_pending.txt

stress: $(STAMP) ## the long randomized tests, whole
	METROGRAPH_STRESS=1 $(BIN)/python -m pytest -n 2 -m stress $(ARGS)

mutate: $(STAMP) ## plant small faults in the pricing core; fails when no test notices one (half an hour)
	$(BIN)/python -m tests.mutation $(ARGS)

lint: $(STAMP) ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/metrograph schema check

bench: $(STAMP) ## measure; prints ratios taken in one run
	$(BIN)/python -m benchmarks $(ARGS)

assets: $(STAMP) ## browser files for pages that must be self-contained (none are needed yet)
	@echo "No page needs a foreign file; GraphiQL comes from its CDN in development."
