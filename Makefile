# Every target sets up what it needs by itself: an environment in .venv from pinned requirements with hashes.
#   make run PORT=8000          another port
#   make test PYTHON=python3.13 VENV=.venv-3.13   another Python, in an environment of its own
PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 5000
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The wrapper on PyPI runs exactly the pyright of its own version.
export PYRIGHT_PYTHON_FORCE_VERSION := $(shell sed -n 's/^pyright==\([0-9.]*\).*/\1/p' requirements/dev.txt)
LOCKED := run dev docs servers suite reference sdist-build $(patsubst requirements/%.in,%,$(wildcard requirements/ecosystem/*.in))

.PHONY: servers help run scale-out test test-all coverage check format conformance ecosystem fuzz reference bench build docs docs-serve lock clean endurance
.DELETE_ON_ERROR:

help:
	@echo "make run, scale-out, test, test-all, coverage, check, format, conformance, ecosystem, fuzz, bench, build, docs, docs-serve, lock, clean"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "kolben needs Python 3.11 or newer; '$(PYTHON)' is not there (make PYTHON=... names another)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kolben needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V) (make PYTHON=... names another)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it is in the package python3-venv." >&2; exit 1; }

# What the examples need. The package itself is installed in editable form, so a change in src needs no new one.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV)"
	@$(PIP) install --no-deps --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Setting up $(VENV) for tests and checks"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

run: $(VENV)/.run
	@$(BIN)/kolben run examples.everything:app --reload --host $(HOST) --port $(PORT)

# nginx, Redis and two processes; see examples/scale-out/README.md.
scale-out: $(VENV)/.run
	@python=$$($(BIN)/python tools/suite_environments.py scale-out ../examples/scale-out/requirements) && \
	  exec $$python examples/scale-out/up.py

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# One run for each installed Python; each has an environment of its own.
test-all:
	@for version in 3.11 3.12 3.13 3.14 3.15; do \
	  found=; \
	  for python in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python; do \
	    if $$python -c '' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "Python $$version is not installed: left out"; continue; fi; \
	  echo "Python $$version ($$found)"; \
	  $(MAKE) --no-print-directory test PYTHON=$$found VENV=.venv-$$version || exit 1; \
	done

# The suite as `make test` runs it, watched: what servers, workers and programs run in processes of their own counts, too.
coverage: $(VENV)/.dev
	@rm -rf .cache/coverage
	@mkdir -p .cache/coverage
	@$(BIN)/coverage run -m pytest -n $(JOBS) --dist worksteal $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage json --quiet -o .cache/coverage/report.json
	@$(BIN)/python tools/coverage_gate.py .cache/coverage/report.json

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/python tools/typecheck.py

# 200,000 mixed requests: no request sees another's, and memory and descriptors stay. `make test` makes 2,000.
endurance: $(VENV)/.dev
	@KOLBEN_ENDURANCE=200000 $(BIN)/python -m pytest -n 0 --timeout 3600 tests/test_isolation.py $(ARGS)

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

conformance: $(VENV)/.run
	@$(BIN)/python tools/conformance.py $(ARGS)

# Random requests to Kolben and to real Flask, and inputs that a fuzzer finds by the branches they take, for some
# seconds for each reader: `make fuzz EXAMPLES=1000 SECONDS=5` is short.
EXAMPLES ?= 100000
SECONDS ?= 120
fuzz: $(VENV)/.dev
	@FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/hostile/test_fuzz.py -m suite $(ARGS)
	@mkdir -p .cache/fuzz
	@FUZZ_SECONDS=$(SECONDS) FUZZ_CORPUS=$(CURDIR)/.cache/fuzz $(BIN)/python -m pytest -q tests/hostile/test_guided.py $(ARGS)

ecosystem: $(VENV)/.run
	@$(BIN)/python tools/ecosystem.py $(ARGS)

# What each server passes on to applications and clients, tried: the table of docs/deployment.md.
servers: $(VENV)/.run
	@python=$$($(BIN)/python tools/suite_environments.py servers servers) && exec $$python tools/server_table.py $(ARGS)

# Runs others' suites on Flask itself and stores what they did, and Flask's public surface: for a new reference.
reference: $(VENV)/.run
	@$(BIN)/python tools/conformance.py --reference
	@$(BIN)/python tools/ecosystem.py --reference
	@.cache/envs/reference-*/bin/python tests/surface/inventory.py flask > tests/surface/flask-3.1.3.json
	@.cache/envs/reference-*/bin/python tests/surface/behaviour.py flask > tests/surface/behaviour-3.1.3.json

# Needs nothing but Python: each framework gets an environment of its own. `make bench ARGS=--quick` is short and rough.
bench:
	@$(PYTHON) benchmarks/run.py --socket $(ARGS); status=$$?; $(PYTHON) benchmarks/typed.py || exit 1; $(PYTHON) benchmarks/pages.py || exit 1; exit $$status

build: $(VENV)/.dev
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist .

# The manual, into docs/_build/html; a warning is an error, and so is a link that leads nowhere. Its environment is its own, as are its pins.
DOCS_VENV ?= .venv-docs
SPHINX := -d docs/_build/doctrees docs docs/_build/html
$(DOCS_VENV)/.docs: requirements/docs.txt pyproject.toml
	@echo "Setting up $(DOCS_VENV) for the manual"
	@$(PYTHON) -m venv $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r requirements/docs.txt
	@$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	@touch $@

docs: $(DOCS_VENV)/.docs
	@rm -rf docs/_build/html/_modules  # Sphinx keeps pages of sources that have not changed, with their old links
	@$(DOCS_VENV)/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going $(SPHINX)
	@$(DOCS_VENV)/bin/python docs/check_links.py docs/_build/html

# Built anew, and shown anew in the browser, when a page or the package changes.
docs-serve: $(DOCS_VENV)/.docs
	@$(DOCS_VENV)/bin/sphinx-autobuild --host $(HOST) --port $(PORT) --watch src --ignore 'docs/_build/*' $(SPHINX)

# New pins for all requirements; needs uv.
lock:
	@for name in $(LOCKED); do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --generate-hashes --no-emit-index-url --universal \
	    --python-version 3.11 $(if $(UPGRADE),--upgrade) requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --generate-hashes --no-emit-index-url --universal \
	  --python-version 3.11 $(if $(UPGRADE),--upgrade) examples/scale-out/requirements.in -o examples/scale-out/requirements.txt

clean:
	rm -rf .venv .venv-* .cache docs/_build dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
