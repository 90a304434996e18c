PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

help:            ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1  /p' $(MAKEFILE_LIST)

demo: .venv/ready  ## Curate the embedded pool, train on every subset, say what helped
	$(BIN)/curate demo

test: .venv/ready  ## Everything: laws, mirrors of each room, ruff, mypy, import contracts
	$(BIN)/python -m pytest

check: .venv/ready  ## What is quick: formatting, lint, types, import contracts
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

clean:           ## Remove what make made
	rm -rf .venv ceteris-demo

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.PHONY: help demo test check clean
