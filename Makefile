# `make` lists what there is. Nothing has to be installed first but Python and make.

PYTHON ?= python3
TORCH ?=
UPGRADE ?=
PORT ?= 8000

TORCH_INDEX := https://download.pytorch.org/whl/cpu
EVERYTHING := embed docs dev
CAPS := .ci/caps.txt

BIN := .venv/bin
NEWEST := .venv-newest/bin
PIP := -m pip install --disable-pip-version-check --quiet
GROUNDUP := $(BIN)/python -m groundup
PYTEST := -m pytest -q -m "not slow" -n logical --maxprocesses 4 --dist loadgroup
# Compiled files are kept, whatever the shell says: the tests start the command line often.
FOR_TESTS := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
LOCK := $(BIN)/uv pip compile --quiet --no-python-downloads --python $(BIN)/python \
    --constraint $(CAPS) --no-annotate --custom-compile-command "make lock" \
    $(EVERYTHING:%=--extra %) --output-file constraints.txt pyproject.toml

ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH is cpu or empty: got $(TORCH))
endif

# An environment holds the path of its clone in many files. One that was copied or moved with its
# clone runs another clone's code, or none, and its stamps say all is well. So it is made again, and
# so is one whose Python is gone.
STALE := $(shell \
    if test ! -e .venv; then :; \
    elif test ! -x $(BIN)/python; then echo "its Python is gone"; \
    elif test ! -f .venv/.made-at || test .venv -ef "$$(cat .venv/.made-at)"; then :; \
    else echo "it was made as $$(cat .venv/.made-at)"; fi)
ifneq ($(STALE),)
$(info The environment in .venv can't be used: $(STALE). The command that needs it makes it again.)
.PHONY: $(BIN)/python .venv/.core .venv/.full
endif

.PHONY: help first tour quick test newest setup lock docs bench check pins clean

help:
	@echo "make first   train the NumPy digit model and ask it (needs NumPy only, seconds)"
	@echo "make tour    climb the whole ladder (five minutes on two cores)"
	@echo "make quick   the same with smaller numbers (a minute)"
	@echo "make test    the tests (six minutes at most)"
	@echo "make docs    build the site and serve it on 127.0.0.1:$(PORT) (PORT=…)"
	@echo "make bench   the benchmarks: ours, the peer and the limit side by side"
	@echo "make check   ruff, mypy, the import contracts, the generated files"
	@echo "make setup   the environment alone, in .venv, with the versions of constraints.txt"
	@echo "make lock    add to constraints.txt what pyproject.toml names and it lacks (UPGRADE=1: resolve it all)"
	@echo "make newest  the tests with the newest versions instead, in .venv-newest"
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
	$(FOR_TESTS) $(BIN)/python $(PYTEST)

setup: .venv/.full

# The versions that the tests have passed, with those that other systems and Pythons need. UPGRADE
# chooses them for this Python, on which they are tested; the others differ only where they must.
lock: $(BIN)/python
	@$(BIN)/python $(PIP) -c constraints.txt uv
ifneq ($(UPGRADE),)
	@$(LOCK) --upgrade
endif
	@$(LOCK) --universal --python-version 3.11

newest:
	@rm -rf .venv-newest
	@$(PYTHON) -m venv .venv-newest
	@echo "Installing the newest versions in .venv-newest"
	$(call install_everything,$(NEWEST),$(CAPS))
	@$(NEWEST)/python -m pip freeze --exclude-editable
	$(FOR_TESTS) $(NEWEST)/python $(PYTEST)

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
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(GROUNDUP) course build --check

pins: .venv/.full
	$(BIN)/python .ci/pins.py

clean:
	rm -rf .venv .venv-newest site .cache

# A stamp is touched after its installation succeeded, so a broken one is done again.
$(BIN)/python:
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	    f'Python 3.11 or newer is needed: {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12')"
	@echo "Making an environment in .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "The venv module is missing; on Debian: apt install python3-venv"; exit 1; }

.venv/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing NumPy, safetensors and rich"
	@$(BIN)/python $(PIP) -c constraints.txt -e .
	@$(BIN)/python -m groundup.course.environment
	@touch .venv/.core

.venv/.full: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing everything the course uses: a minute or two, about 2 GB"
	$(call install_everything,$(BIN),constraints.txt)
	@$(BIN)/python -m groundup.course.environment
	@touch .venv/.core .venv/.full

# Into the environment of $(1), within the versions of the file $(2). PyTorch's own index has old
# versions of other packages, so torch alone comes from it.
define install_everything
$(if $(TORCH),@$(1)/python $(PIP) -c $(2) --no-deps --index-url $(TORCH_INDEX) torch)
@$(1)/python $(PIP) -c $(2) -e ".[$(shell echo $(EVERYTHING) | tr ' ' ,)]"
endef
