# Everything happens in .venv; nothing on the machine is changed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo real test test-fast search mutants docs check clean

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

test: setup
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Minutes less: without models, browsers and whole commands.
test-fast: setup
	$(BIN)/python -m pytest -q -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

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
