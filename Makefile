# The two commands of the README are `make bench` and `make test`; everything they need they install into .venv.
PYTHON ?= python3
BIN := .venv/bin
STORE ?= results
OUT ?= results
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest
# Tests compute on one thread each (tests/conftest.py), so they run side by side.
PARALLEL := -n logical --maxprocesses 8
# The command of `make gpu` must end within 9 minutes; SIGTERM publishes what was measured.
GPU_CHECK_S := 180
GPU_RUN_S := 330

.PHONY: docs bench dashboard test test-examples ci check-all lint overhead prove gpu slow browser screenshots pictures clean

bench: .venv/dashboard.installed
	@$(BIN)/gatebench run quick --store $(STORE); status=$$?; \
	echo; echo "Open the dashboard:  make dashboard$(if $(filter-out results,$(STORE)), STORE=$(STORE))"; exit $$status

dashboard: .venv/dashboard.installed
	@$(BIN)/gatebench dashboard --store $(STORE)

test: .venv/dev.installed browser
	$(PYTEST) $(PARALLEL) --dist loadfile -m "not slow and not alone and not cuda and not exhaustive"

slow: .venv/dev.installed browser
	$(PYTEST) $(PARALLEL) --dist worksteal -m "slow and not alone and not cuda" --durations=25
	$(PYTEST) -m alone --durations=25

# Beside .venv's own packages, not among them: an installed plugin takes part in all that gatebench lists and measures.
test-examples: .venv/examples.installed
	PYTHONPATH=$(CURDIR)/.venv/examples $(PYTEST) examples/gatebench-jax

ci: lint test slow test-examples

# The whole kit on every gate in every implementation, torch.compile too: an hour of compiling on 2 cores.
check-all: .venv/dev.installed
	$(PYTEST) $(PARALLEL) --dist worksteal tests/conformance/test_kit.py -m exhaustive

lint: .venv/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(PYTEST) -q tests/test_import_rules.py

overhead: .venv/dev.installed browser
	$(PYTEST) tests/overhead -o addopts= -p no:cacheprovider --benchmark-only --benchmark-columns=min,median,rounds -s

# An hour and a quarter on 2 cores that do nothing else; what .prove holds is not measured again.
prove: .venv/dev.installed
	$(BIN)/python tests/prove/prove.py .prove docs/evidence docs/evidence.md

# With the interpreter in PYTHON, installing nothing, without a network; one run folder under OUT/runs.
gpu:
	@PYTHONPATH=. timeout $(GPU_CHECK_S) $(PYTHON) -m pytest tests/cuda -o addopts= -p no:cacheprovider -q; checks=$$?; \
	PYTHONPATH=. timeout --preserve-status --signal=TERM $(GPU_RUN_S) $(PYTHON) -m gatebench.cli.main run gpu --store $(OUT); \
	run=$$?; [ $$run = 130 ] && run=0; [ $$checks = 0 ] || exit $$checks; exit $$run

docs: .venv/dev.installed
	for page in gates columns; do $(BIN)/python docs/$$page.py > docs/$$page.new && mv docs/$$page.new docs/$$page.md; done
	$(BIN)/python docs/json_page.py > docs/json.new && mv docs/json.new docs/json.md

# By the commands that docs/stability.md shows; a quarter of an hour on 2 cores.
pictures: .venv/dev.installed browser
	$(BIN)/python docs/pictures.py

screenshots: .venv/dev.installed browser
	$(BIN)/python tests/dashboard/screenshots.py docs/images

# Chromium for the browser tests: installed where that is allowed; where it is not, the tests say how.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; fi

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.13: set PYTHON, e.g. make bench PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/dashboard.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing gatebench into .venv (once)"
	$(PIP) -e '.[dashboard]'
	@touch $@

.venv/dev.installed: .venv/dashboard.installed
	@echo "Installing the tools for tests into .venv (once)"
	$(PIP) -e '.[dev]'
	@touch $@

.venv/examples.installed: .venv/dev.installed $(wildcard examples/gatebench-jax/pyproject.toml examples/gatebench-jax/gatebench_jax/*.py)
	@echo "Installing the example plugin and JAX into .venv (once)"
	$(PIP) jax
	@rm -rf .venv/examples
	$(PIP) --no-deps --target .venv/examples examples/gatebench-jax
	@touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis results/runs results/_staging
