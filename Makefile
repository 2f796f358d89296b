# The verbs of this repository. `make` alone lists them.
# JOBS=n limits parallelism; FUZZ_SECONDS=n is the time each fuzz target gets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 10
export JOBS FUZZ_SECONDS
export NINJA_STATUS = [%f/%t %es]$(space)
empty :=
space := $(empty) $(empty)

# build_preset(PRESET, FOLDER[, TARGET]): configures quietly, builds with progress.
define build_preset
	@cmake --preset $(1) --log-level=WARNING > build/configure-$(1).log 2>&1 || { cat build/configure-$(1).log; exit 1; }
	@ninja -C $(2) -j $(JOBS) $(3)
endef

.PHONY: help build dev down cluster cluster-down test bench bench-peers lint fmt format-check tsan asan coverage fuzz fuzz-api sim soak mutants clean packages-run packages-test

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: packages-run ## install what is missing, then build build/bin/maestro
	$(call build_preset,release,build)
	@echo "built build/bin/maestro"

dev: build ## build, start a server on 127.0.0.1:4000, run a first workflow, stay
	@scripts/dev

down: ## stop the server of `make dev`
	@scripts/down

cluster: build ## PostgreSQL, Redis, three replicas, nginx and two workers here; runs a workflow
	@scripts/install-packages cluster
	@scripts/cluster up

cluster-down: ## end the cluster and remove its data
	@scripts/cluster down

test: packages-test ## build and run every test; ends with `N passed, N failed`
	$(call build_preset,release,build)
	$(call build_preset,faults,build/faults)
	$(call build_preset,dev,build/dev)
	@scripts/build-previous
	@scripts/test build/dev

bench: build ## measure; one JSON line a figure (BENCH="b1 b5" chooses)
	@build/bin/maestro bench --json $(BENCH)

bench-peers: build ## ours and other systems by turns (PEERS, BENCH, ROUNDS choose; STORE=postgres)
	@command -v node npm redis-server > /dev/null && ls -d /usr/lib/postgresql/*/bin > /dev/null || scripts/install-packages bench
	@bench/compare

lint: format-check ## formatting, scripts/tidy, shellcheck, clang-tidy on changed files
	@scripts/install-packages lint
	@scripts/tidy
	@scripts/lint

fmt: packages-test ## format the C++ sources
	@git ls-files -z --cached --others --exclude-standard '*.h' '*.cc' | xargs -0 -r clang-format-19 -i

format-check: packages-test
	@git ls-files -z --cached '*.h' '*.cc' | xargs -0 -r -n 40 -P $(JOBS) clang-format-19 --dry-run -Werror

tsan: packages-test ## the tests under ThreadSanitizer
	$(call build_preset,release,build)
	$(call build_preset,faults,build/faults)
	$(call build_preset,tsan,build/tsan)
	@scripts/build-previous
	@scripts/test build/tsan

asan: test ## the tests under AddressSanitizer and UBSan (what `make test` does)

coverage: packages-test ## line and branch coverage of server/src, in build/coverage/report
	@scripts/install-packages coverage
	$(call build_preset,release,build)
	$(call build_preset,faults,build/faults)
	$(call build_preset,coverage,build/coverage)
	@scripts/build-previous
	@scripts/coverage

fuzz: packages-run ## run each fuzz target for FUZZ_SECONDS
	$(call build_preset,fuzz,build/fuzz,fuzzers)
	@scripts/fuzz

fuzz-api: build ## send a running server what its OpenAPI description allows and forbids (schemathesis)
	@scripts/fuzz-api $(FUZZ_SECONDS)

sim: build ## throw faults at the engine under a virtual clock for SIM_SECONDS (120)
	@scripts/simulate $(SIM_SECONDS)

soak: build ## a week of steady load in minutes; shows whether anything grows
	@build/bin/maestro-sim --soak

mutants: packages-test ## show that the simulator finds deliberate bugs (MUTANTS="name …" chooses)
	@scripts/mutants $(MUTANTS)

clean: ## remove everything that was built
	@if [ -s build/dev-server.pid ]; then scripts/down; fi
	@rm -rf build

packages-run packages-test: packages-%:
	@scripts/install-packages $*
	@mkdir -p build
