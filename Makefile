# Two commands do it all: `make up` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
UV ?= uv
INSTALLED := .venv/.installed

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

up: install ## Bring up the environment `local` and deploy the README's agent
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

# The stacks of the README are yours to change: what git tracks of them stays as it is.
install: $(INSTALLED) ## Set up the Python environment in .venv, and the example stacks
	@for file in examples/Pulumi.*.yaml; do [ -e "$${file#examples/}" ] || cp "$$file" .; done

$(INSTALLED): requirements.txt requirements-dev.txt tools/bootstrap.sh
	@tools/bootstrap.sh

# Parts run side by side, each printed when it ends; one that fails fails the whole, after the others.
TOGETHER = @$(MAKE) --no-print-directory --jobs --keep-going --output-sync=target
CHECKS = check-style check-types check-layers check-units

check: $(INSTALLED) ## Fast checks: style, types, layers, unit tests
	$(TOGETHER) $(CHECKS)

check-style:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check-types:
	$(BIN)/mypy

check-layers:
	$(BIN)/lint-imports

check-units:
	$(BIN)/pytest -q -n auto -m "not e2e and not scan and not long"

check-go: $(INSTALLED) ## Format, vet and tests of our own Go programs; minutes at first, then cached
	$(BIN)/python -m tools.check_go

# The fast checks first; then the clusters alone, whose tests count seconds.
test: $(INSTALLED) ## Every check and the end-to-end tests; builds what isn't in the cache
	$(TOGETHER) $(CHECKS) check-go
	@$(MAKE) --no-print-directory test-clusters

# Two groups of tests/e2e/groups.py at a time, each on its cluster, the longest first.
CLUSTERS = $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-clusters: $(INSTALLED)
	$(CLUSTERS) -m "e2e and not long"

test-long: $(INSTALLED) ## What is run before an issue is closed: whole enumerations (CONTRIBUTING.md)
	$(CLUSTERS) --timeout 3600 -m long

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

wheel: $(INSTALLED) ## Build the wheel into dist/, without network
	@$(BIN)/python -c 'from setuptools import build_meta; print("dist/" + build_meta.build_wheel("dist"))'

lock: ## Pin dependencies anew (needs uv)
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements-dev.txt
	echo checkov==3.3.30 | $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements-scan.txt

clean: ## Remove caches: built programs, .venv and tool caches; not the cluster's data
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/moltghost" .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.PHONY: help up down install wheel check check-style check-types check-layers check-units check-go
.PHONY: test test-clusters test-long scan bench docs lock clean
