# Two commands do all set-up: make demo, make test. Both work in .venv and need the package index only.
PYTHON ?= python3
EXTRAS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/.base
	$(BIN)/workbench run --codecs all --tasks all --dataset demo --workers 2 --out demo/run
	$(BIN)/workbench report demo/run --out demo/report
	@echo "Open demo/report/index.html"

# Without Chromium the tests of the report page are skipped, and say so.
test: $(VENV)/.dev
	-scripts/install_chromium.sh
	$(BIN)/pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.$(if $(EXTRAS),[$(EXTRAS)])'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	touch $@ $(VENV)/.base

clean:
	rm -rf demo $(VENV)
