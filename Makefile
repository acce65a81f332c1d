# The only entry: people and CI call the same verbs. Nothing here calls sudo or a system package manager.
#   make PYTHON=python3.12 …   another interpreter for the virtual environment
#   make JOBS=1 …              how many test processes at once
#   make ARGS='…' …            more arguments for `hansard serve`, pytest or the benchmarks

PYTHON ?= python3
VENV ?= .venv
# Half as many again as there are processors, because tests wait, too: for browsers, for answers that are being given.
JOBS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))
ARGS ?=
COVER :=

BIN := $(VENV)/bin
VENV_READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
NODE_DIR := .cache/npm
NODE_READY := $(NODE_DIR)/.ready
PGBOUNCER_DIR := .cache/pgbouncer
PGBOUNCER_READY := $(PGBOUNCER_DIR)/.ready
WRK_DIR := .cache/wrk
WRK_READY := $(WRK_DIR)/.ready
SOURCES := backend tests $(wildcard benchmarks examples)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start some hundred interpreters, and each would compile our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(VENV_READY) $(NODE_READY) ## Set up everything the other verbs need (they do it themselves, too)

.PHONY: run
run: $(VENV_READY) ## Serve the page and the API from an embedded SQLite database (ARGS='--port 8080')
	@env -u DATABASE_URL -u DATABASE_URL_DIRECT $(BIN)/hansard serve $(ARGS)

.PHONY: test
test: $(VENV_READY) $(NODE_READY) ## Run every test, with times (ARGS='-k title')
	@start=$$(date +%s); status=0; \
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses=8 --dist=worksteal --durations=10 $(COVER) $(ARGS) || status=$$?; \
	echo "make test took $$(( $$(date +%s) - start )) s"; exit $$status

.PHONY: coverage
coverage: COVER := --cov --cov-report=term
coverage: test ## Run every test, and show which lines and branches none of them reaches

.PHONY: test-pooler
test-pooler: $(VENV_READY) $(PGBOUNCER_READY) ## Run the tests through PgBouncer (Debian's package, fetched but not installed)
	$(BIN)/python -m pytest -m pooler $(ARGS)

.PHONY: torture
torture: $(VENV_READY) ## Kill servers and databases, hundreds of times, and look for what was lost (ARGS='--rounds 50')
	@$(BIN)/python -m tests.faults.torture $(ARGS)

.PHONY: fuzz
fuzz: $(VENV_READY) ## Send the HTTP API all that its schema allows and forbids, for 5 minutes a database (ARGS='--seconds 60')
	@$(BIN)/python -m tests.api.fuzz $(ARGS)

.PHONY: docs
docs: $(VENV_READY) ## Make the examples of the OpenAPI document anew, and the reference page from it
	@$(BIN)/python -m tests.support.http_examples

.PHONY: check
check: $(VENV_READY) ## Lint, formatting, types and import rules
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-cache

.PHONY: fmt
fmt: $(VENV_READY) ## Format the code and fix what the linter can fix by itself
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: bench
bench: $(BENCH_READY) $(if $(filter http soak,$(ARGS)),$(WRK_READY)) ## Run the benchmarks (slow; never part of the tests; ARGS='round_trips' names some)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: charts
charts: $(BENCH_READY) ## Redraw the charts and renew the tables of the docs from the last results of make bench
	$(BIN)/python -m benchmarks.publish

.PHONY: lock
lock: $(VENV_READY) ## Refresh requirements.lock from pyproject.toml, and the lock of the Node packages
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra all --group dev --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o requirements.lock
	$(BIN)/uv pip compile --group bench --constraint requirements.lock --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o benchmarks/requirements.lock
	for wanted in benchmarks/peers/*.in; do $(BIN)/uv pip compile "$$wanted" --universal --python-version 3.10 \
		--no-emit-index-url --no-header --no-annotate --upgrade --quiet -o "$${wanted%.in}.txt" || exit 1; done
	PATH="$(abspath $(BIN)):$$PATH" npm --prefix tests/node install --package-lock-only --no-audit --no-fund
	@! grep -n '://' requirements.lock benchmarks/requirements.lock benchmarks/peers/*.txt || { echo "a lock names a host" >&2; exit 1; }
	@! grep -n '"resolved"' tests/node/package-lock.json || { echo "package-lock.json names a host" >&2; exit 1; }

.PHONY: clean
clean: ## Remove what make and its tools made (not your databases)
	rm -rf $(VENV) .cache build dist htmlcov .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find backend tests $(wildcard benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +

# A failed or interrupted installation leaves no stamp, so the next call tries again. The lock is whole, so pip resolves
# nothing: it would take the newest release for a requirement with extras (coverage[toml]) and refuse it for its hash.
$(VENV_READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.10 or newer, or name one: make PYTHON=/path/to/python …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "$$($(PYTHON) --version) is too old: Hansard needs 3.10 or newer. Name one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. Install its venv module (Debian, Ubuntu: the package python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV), once; this takes a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(BENCH_READY): benchmarks/requirements.lock $(VENV_READY)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r benchmarks/requirements.lock
	@touch $@

# Node comes as a wheel, so a machine without Node installs these as well.
$(NODE_READY): tests/node/package.json tests/node/package-lock.json $(VENV_READY)
	@mkdir -p $(NODE_DIR)
	@cp tests/node/package.json tests/node/package-lock.json tests/node/.npmrc $(NODE_DIR)/
	PATH="$(abspath $(BIN)):$$PATH" npm --prefix $(NODE_DIR) ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# Debian's packages, unpacked and never installed: apt keeps its lists in the folder too, so the system stays as it is,
# and root is not needed. Takes the name of the package and what its libraries' names begin with.
define unpack
	@command -v apt-get dpkg-deb >/dev/null || { \
		echo "$(1) comes from Debian's packages here, and there is no apt-get. Put its program into $(@D)/usr/bin or …/usr/sbin and touch $@" >&2; exit 1; }
	@rm -rf $(@D) && mkdir -p $(@D)/lists/partial $(@D)/cache
	apt-get $(APT) update
	cd $(@D) && apt-get $(APT) download $(1) \
		$$(apt-cache $(APT) depends $(1) | sed -n 's/^ *Depends: \(lib\($(2)\).*\)/\1/p')
	@for package in $(@D)/*.deb; do dpkg-deb -x "$$package" $(@D); done
	@rm -rf $(@D)/lists $(@D)/cache $(@D)/*.deb
	@touch $@
endef

$(PGBOUNCER_READY) $(WRK_READY): APT = -q -o Dir::State::Lists=$(abspath $(@D))/lists -o Dir::Cache=$(abspath $(@D))/cache

$(PGBOUNCER_READY):
	$(call unpack,pgbouncer,c-ares\|event)

$(WRK_READY):
	$(call unpack,wrk,luajit)
