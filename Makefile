# Everything needs only Python 3.11 or newer, make and a package index.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check prove demo bench lock clean
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := python3.13 python3.12 python3.11 python3
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
# trust what this machine trusts, a company's own authority included (the second name is that of older uv)
export UV_SYSTEM_CERTS ?= true
export UV_NATIVE_TLS ?= true
INSTALL := $(BIN)/python -m uv pip install --compile-bytecode --python $(BIN)/python
COMPILE := $(BIN)/python -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed ## Run everything on this machine; Ctrl-C stops it. ARGS="--port 9000" passes options
	@exec $(BIN)/convergio up $(ARGS)

test: check ## Check, then run the tests; ARGS="tests/chat -x" narrows them
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m "not prove" $(ARGS)

check: $(VENV)/installed-dev ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check --no-cache .  # its cache does not see that an imported file has come or gone
	@$(BIN)/mypy
	@$(BIN)/lint-imports

prove: $(VENV)/installed-dev ## The kill and long-run proofs: minutes, not seconds
	@$(BIN)/pytest -m prove $(ARGS)

demo: $(VENV)/installed ## A guided minute: a chat whose worker is killed in mid-answer
	@exec $(BIN)/convergio demo $(ARGS)

bench: $(VENV)/installed-dev ## Measure, beside the references, and print a table
	@exec $(BIN)/python -m bench $(ARGS)

lock: $(VENV)/uv ## Choose dependencies anew; ARGS=--upgrade takes the newest
	@$(COMPILE) $(ARGS) pyproject.toml --group build -o requirements.lock
	@$(COMPILE) $(ARGS) pyproject.toml --group build --group test -c requirements.lock -o requirements-dev.lock
	@$(COMPILE) $(ARGS) --group bootstrap -o requirements-uv.lock
	@if grep -n '://' requirements*.lock; then echo "a lock file names a host"; exit 1; fi

clean: ## Remove what was installed and cached; data stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/installed: requirements.lock pyproject.toml | $(VENV)/uv
	@echo "installing what runs (requirements.lock) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock pyproject.toml | $(VENV)/uv
	@echo "installing what runs and what tests (requirements-dev.lock) ..."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/installed

$(VENV)/uv: requirements-uv.lock
	@python=$$(for each in $(CANDIDATES); do $$each -c '$(RECENT)' 2> /dev/null && echo $$each && break; done); \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; tried: $(CANDIDATES)"; exit 1; fi; \
	echo "making $(VENV) with $$($$python --version) ..."; \
	if ! $$python -m venv $(VENV); then \
	    rm -rf $(VENV); \
	    echo "this Python cannot make virtual environments: install its venv package (on Debian and Ubuntu python3-venv)"; \
	    exit 1; \
	fi
	@echo "installing uv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@
