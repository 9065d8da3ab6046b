# Two commands do all set-up: make demo, make test. Both work in .venv and need the package index only.
PYTHON ?= python3
EXTRAS ?= learned,machine,perceptual
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

# Few pictures, so that it takes minutes; a later call with more adds to the same run.
PHOTOGRAPHS ?= 2
SCENES ?= 3
DEMO := $(BIN)/workbench run --codecs all,png --workers 2 --out demo/run

demo: $(VENV)/.base
	$(DEMO) --dataset demo --limit $(PHOTOGRAPHS) --tasks psnr,ssim,ms-ssim,vmaf
	$(DEMO) --dataset toytown --limit $(SCENES) --tasks psnr,ssim,toytown-detector,toytown-panoptic
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
