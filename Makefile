# Sarraf: every word here needs only Python 3.11+ and make; the rest is installed into .venv and node_modules.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm --no-audit --no-fund --no-update-notifier --loglevel=error --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000
WORKERS ?= 2
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
CHAIN := node_modules/.runtime
TOOLS := node_modules/.dev
PROVE := .venv-prove/.installed
MUTATE := .venv-mutate/.installed
BROWNIE := .venv-brownie/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-postgres lint format bench-ledger bench-gas bench-rates simulate soak takeover contracts prove mutants mutants-posting openapi brownie lock clean

help: ## show these words
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

demo: $(RUNTIME) $(CHAIN) ## run the main job on real purchases (EVENTS=all|2017-03, ONCE=1, RESET=1)
	@$(BIN)/sarraf demo $(if $(EVENTS),--events $(EVENTS)) $(if $(ONCE),--once) $(if $(RESET),--reset)

# Two at a time: half of the tests' time is waiting for chains. A file stays with one worker, in the order of the folders,
# so that the long end-to-end files do not come last.
test: $(DEV) $(TOOLS) ## run all tests (WORKERS=2, ARGS="tests/exchange -x")
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-postgres: $(DEV) $(TOOLS) ## run all that can on PostgreSQL, faults of its server included (WORKERS=2, ARGS=...)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --postgres $(or $(ARGS),tests/bridge)

lint: $(DEV) ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench-gas: $(DEV) $(TOOLS) ## measure the contracts' gas against floors and rivals (JSON=1, QUICK=1, SNAPSHOT=1)
	@$(BIN)/python -m tests.contracts.gas $(if $(JSON),--json) $(if $(QUICK),--quick) $(if $(SNAPSHOT),--snapshot)

bench-rates: $(DEV) ## measure routes, their index and the gate beside networkx (JSON=1, QUICK=1)
	@$(BIN)/python scripts/bench_rates.py $(if $(JSON),--json) $(if $(QUICK),--quick)

bench-ledger: $(DEV) ## measure what the ledger accepts on SQLite, and on PostgreSQL with 1, 2 and 3 processes (JSON=1)
	@$(BIN)/python -m tests.bridge.store.bench $(if $(JSON),--json)

simulate: $(DEV) ## simulate the service with crashes and lies (SEEDS=200, START=1, SEED=7 again, PLANT=any-body, BACKEND=postgres)
	@$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(START),--start $(START)) $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) $(if $(PLANT),--plant $(PLANT)) $(if $(BACKEND),--backend $(BACKEND))

soak: $(DEV) $(TOOLS) ## kill the service and its chain under load, then count (KILLS=100, SEED=1, PROXY=1 for a bad network)
	@$(BIN)/python -m tests.soak $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) $(if $(PROXY),--proxy)

takeover: $(DEV) $(TOOLS) ## kill the leader of three services under load on PostgreSQL, then count (KILLS=10, SEED=1)
	@$(BIN)/python -m tests.takeover $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

contracts: $(DEV) $(TOOLS) ## compile the contracts and write their committed artifacts
	$(BIN)/python scripts/build_contracts.py

prove: $(DEV) $(TOOLS) $(PROVE) ## prove the contracts: slither, halmos, planted bugs, long invariants (ONLY=halmos)
	@$(BIN)/python scripts/prove.py $(ONLY)

mutants: $(DEV) $(TOOLS) ## break the contracts in every small way: each must fail a test (MINUTES=20, ONLY=Powers.sol)
	@$(BIN)/python scripts/mutate_contracts.py $(if $(MINUTES),--minutes $(MINUTES)) $(foreach file,$(ONLY),--only $(file))

mutants-posting: $(DEV) $(MUTATE) ## break posting and the ledger's rules in every small way (MINUTES=20, ONLY=submitter, WORKERS=2)
	@.venv-mutate/bin/python scripts/mutate_posting.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(WORKERS),--workers $(WORKERS)) $(foreach module,$(ONLY),--only $(module))

brownie: $(TOOLS) $(BROWNIE) ## compile, deploy and test the contracts with Brownie, in an environment of its own (ONLY=test)
	@$(BIN)/python scripts/brownie_project.py $(ONLY)

openapi: $(DEV) ## write the API's description, docs/openapi.json
	$(BIN)/python scripts/write_openapi.py

lock: $(DEV) ## resolve the dependencies anew into requirements/ and package-lock.json
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --extra dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --group prove -o requirements/prove.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --constraints requirements/dev.lock --extra dev --group mutate pyproject.toml -o requirements/mutate.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --group brownie -o requirements/brownie.lock
	$(NPM) install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

clean: ## remove what was installed and the demo's data
	rm -rf $(VENV) .venv-prove .prove .venv-mutate .mutate .venv-brownie build node_modules .sarraf contracts/out contracts/cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sarraf needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "==> making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	@echo "==> installing the Python packages that the service needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(DEV): requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "==> installing the Python packages for the service and its tests"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@ $(RUNTIME)

# Not `npm ci`: it refuses a lock that lacks the other platforms' optional binaries, which not every registry carries.
# The lock's integrity hashes are checked all the same.
$(CHAIN): package.json package-lock.json | $(RUNTIME)
	@echo "==> installing the embedded chain (anvil)"
	@$(NPM) install --no-save --omit=dev --ignore-scripts
	@touch $@

$(TOOLS): package.json package-lock.json | $(DEV)
	@echo "==> installing the embedded chain and the Solidity tools"
	@$(NPM) install --no-save --ignore-scripts
	@touch $@ $(CHAIN)

# An environment of its own: slither and halmos want other versions of what the service needs.
$(PROVE): requirements/prove.lock | $(VENV)/bin/python
	@echo "==> installing the proof tools (halmos, slither)"
	@$(PYTHON) -m venv .venv-prove
	@.venv-prove/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/prove.lock
	@touch $@

# The tests' own packages and mutmut's: nobody else needs those.
$(MUTATE): requirements/mutate.lock | $(VENV)/bin/python
	@echo "==> installing the mutation tool (mutmut)"
	@$(PYTHON) -m venv .venv-mutate
	@.venv-mutate/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutate.lock
	@touch $@

# Brownie pins an older web3 and pytest, and much else besides.
$(BROWNIE): requirements/brownie.lock | $(VENV)/bin/python
	@echo "==> installing Brownie"
	@$(PYTHON) -m venv .venv-brownie
	@.venv-brownie/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/brownie.lock
	@touch $@
