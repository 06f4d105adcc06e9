PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
.PHONY: help console test check long bench screenshots
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile
console: $(VENV)/.ready ## the console, on the running cluster or on a new local one
	@$(BIN)/tuipar
test: $(VENV)/.ready ## every test but the long ones
	$(BIN)/python -m pytest
check: $(VENV)/.ready ## format, lint, types, who imports whom
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports
long: $(VENV)/.ready ## the fault matrix and the soak
	$(BIN)/python -m pytest -m long -o faulthandler_timeout=0
bench: $(VENV)/.ready ## the figures of the README, each with its spread
	$(BIN)/python -m pytest -m bench -s -o faulthandler_timeout=0
screenshots: $(VENV)/.ready ## draws screenshots/ again from the real app
	$(BIN)/python screenshots/make.py
$(VENV)/.ready: pyproject.toml
	@test -d tuiparallel/hub || { echo "links missing: git config core.symlinks true, check out again"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@
