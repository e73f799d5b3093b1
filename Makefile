# make tiny   set up, and train the first model        make test    set up, and pass the tests
# make check  format, lint, types, import rules        make smoke   documents -> release in about a minute

PYTHON ?= python3
BIN := .venv/bin
# On Linux, where torch's default build brings gigabytes of CUDA: TORCH_INDEX=<the address that pytorch.org gives for CPU>
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: tiny smoke test test-all check format setup clean cards data-cards

tiny: .venv/ready
	$(BIN)/python -m train +experiment=tiny

smoke: .venv/ready
	$(BIN)/python -m train +experiment=smoke run.name=smoke-$$(date +%Y%m%d-%H%M%S)

# A file of tests stays with one process, so that what its tests share is made once.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# One that hangs fails, and says where.
test: .venv/ready
	$(PYTEST) --timeout 600 -m "not slow"

# One at a time: they start processes of their own, a cluster, a browser, and some look at the clock.
test-all: .venv/ready
	$(BIN)/python -m pytest -m slow

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The cards that the last `make tiny` and `+experiment=exact` wrote, for review; of the chain the first steps and the last.
cards:
	cp runs/tiny/release/README.md model_cards/tiny.md
	cp runs/tiny/release/data/README.md data_cards/sotu.md
	cp runs/exact/release/README.md model_cards/exact.md
	(head -n 6 runs/exact/release/training/chain.jsonl; tail -n 1 runs/exact/release/training/chain.jsonl) > model_cards/exact-chain.jsonl

# The data cards of the larger corpora: documents and tokens alone, nothing is trained.
data-cards: .venv/ready
	$(BIN)/python -m benchmarks.data_card +experiment=tiny data=bilingual data_cards/bilingual.md
	$(BIN)/python -m benchmarks.data_card +experiment=small data_cards/registries.md

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; set PYTHON=...")'
	@echo "setting up .venv (a few minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(if $(TORCH_INDEX),$(PIP) torch==2.13.0 --index-url $(TORCH_INDEX),true)
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
