# Two commands do it all: `make up` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
UV ?= uv
INSTALLED := .venv/.installed

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

up: $(INSTALLED) ## Bring up the environment `local` and deploy the README's agent
	@$(BIN)/moltghost up local --yes
	@$(BIN)/moltghost up my-agent.local --yes
	@if [ -n "$$($(BIN)/moltghost local node)" ]; then $(BIN)/moltghost up hello.local --yes; fi
	@printf '\nTry next (after `. .venv/bin/activate`):\n'
	@if [ -n "$$($(BIN)/moltghost local node)" ]; then \
		printf '  moltghost agent chat hello --message "What is the capital of France?"\n'; fi
	@printf '  moltghost agent scale my-agent --gpu h100 --memory 160gb\n'
	@printf '  moltghost agent update my-agent --model qwen2.5-72b-q4\n'
	@printf '  moltghost size llama3.1-405b-q4 --context 32k\n'

down: ## Remove the embedded cluster, its processes and its data
	@if [ -x $(BIN)/moltghost ]; then $(BIN)/moltghost local down --yes; else echo "nothing is installed, so nothing runs"; fi

install: $(INSTALLED) ## Set up the Python environment in .venv

$(INSTALLED): requirements.txt requirements-dev.txt tools/bootstrap.sh
	@tools/bootstrap.sh

check: $(INSTALLED) ## Fast checks: style, types, layers, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto -m "not e2e and not scan"

check-go: $(INSTALLED) ## Format, vet and tests of our own Go programs; minutes at first, then cached
	$(BIN)/python -m tools.check_go

# Two clusters at a time, each with the tests of one file: most of the time a test waits for its own.
test: check check-go ## Every test; builds the embedded cluster's programs if they aren't cached
	$(BIN)/pytest -q -n 2 --dist loadfile -m e2e

scan: $(INSTALLED) ## General scanners on the declared objects; installs them into the cache
	$(BIN)/pytest -q -m scan

bench: $(INSTALLED) ## Measure; the numbers of docs/benchmarks.md come from here
	$(BIN)/python -m benchmarks.command && $(BIN)/python -m benchmarks.engine && $(BIN)/python -m benchmarks.sizing && $(BIN)/python -m benchmarks.policies && $(BIN)/python -m benchmarks.weights

docs: $(INSTALLED) ## Write docs/reference and docs/policies anew from the code
	$(BIN)/python -m tools.gen_config_reference
	$(BIN)/python -m tools.gen_cli_reference
	$(BIN)/python -m tools.gen_sizing_reference
	$(BIN)/python -m tools.gen_flows_reference
	$(BIN)/python -m tools.policy_pages

lock: ## Pin dependencies anew (needs uv)
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements-dev.txt
	echo checkov==3.3.30 | $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements-scan.txt

clean: ## Remove caches: built programs, .venv and tool caches; not the cluster's data
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/moltghost" .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.PHONY: help up down install check check-go test bench docs lock clean
