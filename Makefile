# `make` lists what there is. Nothing has to be installed first but Python and make.

PYTHON ?= python3
TORCH ?=
PORT ?= 8000

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
GROUNDUP := $(BIN)/python -m groundup

.PHONY: help first tour quick test setup docs bench check clean

help:
	@echo "make first   train the NumPy digit model and ask it (needs NumPy only, seconds)"
	@echo "make tour    climb the whole ladder (five minutes on two cores)"
	@echo "make quick   the same with smaller numbers (a minute)"
	@echo "make test    the tests (six minutes at most)"
	@echo "make docs    build the site and serve it on 127.0.0.1:$(PORT) (PORT=…)"
	@echo "make bench   the benchmarks: ours, the peer and the limit side by side"
	@echo "make check   ruff, mypy, the import contracts, the generated files"
	@echo "make setup   the environment alone, in .venv"
	@echo
	@echo "On Linux, pip brings builds of PyTorch for NVIDIA GPUs, several gigabytes."
	@echo "TORCH=cpu takes the small CPU build instead: make tour TORCH=cpu"

first: .venv/.core
	$(GROUNDUP) digits ask "Max ( 5 3 9 )"

tour: .venv/.full
	$(GROUNDUP) tour

quick: .venv/.full
	$(GROUNDUP) tour --quick

test: .venv/.full
	@echo "Running the tests: layers against finite differences, torch, transformers, mteb."
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" -n auto --maxprocesses 4 --dist loadgroup

setup: .venv/.full

docs: .venv/.full
	$(GROUNDUP) docs serve --port $(PORT)

bench: .venv/.full
	$(BIN)/python benchmarks/chapter_times.py
	$(BIN)/python benchmarks/digits.py
	$(BIN)/python benchmarks/encoder.py
	$(BIN)/python benchmarks/numpy_step.py
	$(BIN)/python benchmarks/tour_stages.py

check: .venv/.full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy lib
	$(BIN)/lint-imports
	$(GROUNDUP) course build --check

clean:
	rm -rf .venv site .cache

# A stamp is touched after its installation succeeded, so a broken one is done again.
.venv/bin/python:
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	    f'Python 3.11 or newer is needed: {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12')"
	@echo "Making an environment in .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "The venv module is missing; on Debian: apt install python3-venv"; exit 1; }

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing NumPy, safetensors and rich"
	@$(PIP) -e .
	@touch .venv/.core

.venv/.full: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing everything the course uses: a minute or two, about 2 GB"
ifeq ($(TORCH),cpu)
	@$(PIP) --index-url https://download.pytorch.org/whl/cpu torch
else ifneq ($(TORCH),)
	@echo "TORCH is cpu or empty: got $(TORCH)"; exit 2
endif
	@$(PIP) -e ".[embed,docs,dev]"
	@touch .venv/.core .venv/.full
