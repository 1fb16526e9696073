# One way to run things: people, pre-commit and CI call these targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# Where the environment forbids compiled files, each program would compile Airflow anew, which takes longer than all else of its start.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
# The first Python on the PATH that Airflow and every library run on; `make PYTHON=/path/to/python3.12 ...` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)

# uv installs the lock in seconds. Where it can't (no wheel for this machine, an index only pip knows), pip does the same.
install = { $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) 2>/dev/null \
	|| $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); }

# Tests wait for servers half of the time, so that three processes keep two cores busy.
WORKERS ?= 3

# Files whose time says what is installed, so that a second run installs nothing.
DEMO_INSTALLED := $(VENV)/.installed-demo
DEV_INSTALLED := $(VENV)/.installed-dev
MUTANTS_INSTALLED := $(VENV)/.installed-mutants

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(DEV_INSTALLED) ## Install everything into .venv, with the command .venv/bin/redis-ttl

.PHONY: demo
demo: $(DEMO_INSTALLED) ## Start a server with the incident's keys and an Airflow, audit it, plan its TTLs, and show the page (KEYS=6693836, APPROVE=yes, ONCE=yes)
	@exec $(BIN)/python -m demo run $(if $(KEYS),--keys '$(KEYS)') $(if $(filter yes,$(ONCE)),--once) $(if $(filter yes,$(APPROVE)),--approve)

.PHONY: demo-clean
demo-clean: ## Stop the demo and remove what it made
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(or $(PYTHON),python3)) -m demo clean

.PHONY: test
test: $(DEV_INSTALLED) ## Run the tests, three at a time (WORKERS=3; ARGS='-k folding -x' for some of them, in turn)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n $(WORKERS) --no-loadscope-reorder)

.PHONY: check
check: $(DEV_INSTALLED) ## Check formatting, lint, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(DEV_INSTALLED) ## Format, and fix what lint can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(DEV_INSTALLED) ## Measure the audit beside redis-cli and redis-py, and write build/bench.json
	@PYTHONPATH=plugins:. $(BIN)/python -m bench

.PHONY: proof
proof: $(DEV_INSTALLED) ## Remediate and roll back the whole incident in Airflow, and ask the server key by key (KEYS=669383 for a tenth, STORE=s3 for documents on S3)
	@PYTHONPATH=plugins:. $(BIN)/python -m proof $(if $(KEYS),--keys '$(KEYS)') $(if $(STORE),--store '$(STORE)')

.PHONY: approvals
approvals: $(DEV_INSTALLED) ## Try everything that can be done to a waiting plan, and write build/approval_table.md (STORE=s3 for documents on S3)
	@APPROVAL_CASES=all STORE='$(STORE)' $(BIN)/python -m pytest tests/tasks/test_live_approval.py tests/tasks/test_live_anonymous.py -s

.PHONY: azurite
azurite: build/azurite/.installed ## Install the emulator of Azure's Blob Storage that tests use (needs npm)

build/azurite/.installed: lab/services/azurite/package.json lab/services/azurite/package-lock.json
	@mkdir -p build/azurite && cp lab/services/azurite/package.json lab/services/azurite/package-lock.json build/azurite
	@cd build/azurite && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: month
month: $(DEV_INSTALLED) ## Watch a real server for a simulated month, and write build/watch_month.md
	@WATCH_DAYS=31 $(BIN)/python -m pytest tests/usecases/watch/test_watch_month.py -s

.PHONY: mutants
mutants: $(MUTANTS_INSTALLED) ## Change the meaning of one place at a time and see that a test notices; build/mutants.md (MODULE=domain/policy/guards.py, JOBS=1, MINUTES=10, SAMPLE=50, FRESH=yes, RECORD=yes)
	@MODULE='$(MODULE)' JOBS='$(JOBS)' MINUTES='$(MINUTES)' SAMPLE='$(SAMPLE)' FRESH='$(FRESH)' RECORD='$(RECORD)' $(BIN)/python -m mutants

.PHONY: secrets
secrets: $(DEV_INSTALLED) ## Plant secrets in every connection, run a whole cycle in Airflow, and search all that it leaves
	@$(BIN)/python -m pytest tests/tasks/test_live_secrets.py

.PHONY: torture
torture: $(DEV_INSTALLED) ## Check the write path against its model for 200,000 random steps (MODEL_STEPS=, MODEL_SEED= to repeat one)
	@MODEL_STEPS=$(or $(MODEL_STEPS),200000) MODEL_SEED=$(or $(MODEL_SEED),$$(date +%s)) $(BIN)/python -m pytest tests/model -s --timeout 36000

.PHONY: lock
lock: $(BIN)/python ## Write constraints.txt anew from constraints.in (ARGS=--upgrade for the newest versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --custom-compile-command 'make lock' \
		--output-file constraints.txt $(ARGS) constraints.in

.PHONY: clean
clean: demo-clean ## Remove everything that these commands made
	@rm -rf $(VENV) build plugins/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found on the PATH; try: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) can't make a virtual environment; on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv -c constraints.txt \
		|| echo "uv can't be installed here; pip does its work, more slowly."

$(DEMO_INSTALLED): requirements.txt requirements-demo.txt constraints.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs"
	@began=$$(date +%s); \
	$(call install,-r requirements-demo.txt -c constraints.txt) && $(call install,--no-deps --editable .) \
	&& echo "  Installed in $$(($$(date +%s) - began)) s" && touch $@

$(DEV_INSTALLED): requirements-dev.txt $(DEMO_INSTALLED)
	@echo "Installing what the tests need"
	@began=$$(date +%s); \
	$(call install,-r requirements-dev.txt -c constraints.txt) \
	&& echo "  Installed in $$(($$(date +%s) - began)) s" && touch $@

$(MUTANTS_INSTALLED): requirements-mutants.txt $(DEV_INSTALLED)
	@echo "Installing what changes the meaning of places"
	@$(call install,-r requirements-mutants.txt -c constraints.txt) && touch $@
