# Everything happens in .venv; nothing on the machine is changed.
PYTHON ?= python3
BIN := .venv/bin
# Compiled files are kept, whatever the environment says: test processes read them again and again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo real screenshot board test test-all test-fast search mutants docs check clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("safebench needs Python 3.11 or newer; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[run,qlora,api,dev]'
	touch $@

demo: setup
	$(BIN)/safebench demo

# A small real instruct model in build/, for benchmarks and studies: 93 MB once.
real: setup
	$(BIN)/python tools/real_model.py

# The studies of leaderboard/ again, their reruns and what is told of them: hours on one core, resumable.
board: setup
	$(BIN)/python leaderboard/studies/make.py
	$(BIN)/python leaderboard/studies/reruns.py
	$(BIN)/python leaderboard/studies/findings.py
	$(BIN)/python tests/leaderboard/make_expected.py

# The README's picture of the board, by Chromium.
screenshot: setup
	$(BIN)/python tools/screenshot.py

# One process more than there are cores: some tests wait for servers, locks and kills.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
PYTEST := $(BIN)/python -m pytest -q --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST) -m "not long"

# With the pages that train and sample with other programs, and the sample of spoilt readers.
test-all: setup
	$(PYTEST)

# Minutes less: without models, browsers and whole commands.
test-fast: setup
	$(PYTEST) -m "not slow and not long"

# Property tests with fresh random seeds: `make search`, `make search SEEDS="1 2 3"`.
SEEDS ?= $(shell $(PYTHON) -c 'import random; print(*(random.randrange(10**6) for _ in range(20)))')

search: setup
	found=0; for seed in $(SEEDS); do \
	  echo "seed $$seed"; \
	  SAFEBENCH_HYPOTHESIS=search $(BIN)/python -m pytest -q -m hypothesis --hypothesis-seed=$$seed \
	    --numprocesses auto --maxprocesses 4 || found=1; \
	done; exit $$found

# Do the tests bite? 100 changed operators, signs and constants, each of which a test should notice.
mutants: setup
	$(BIN)/python tools/mutants.py --state build/mutants.jsonl

# The documentation site, in build/site; a broken link is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build --strict

check: setup docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv demo-out
