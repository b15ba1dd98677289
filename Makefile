# Everything that is done with this code. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export GOTOOLCHAIN := $(shell scripts/toolchain 2>/dev/null)

GO        ?= go
TOOL      := $(GO) tool -modfile=tools.mod
FUZZTIME  ?= 20s
BENCHARGS ?=
TESTARGS  ?= ./...
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help
help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## watch it happen: the server, a sample site and a sample app
	$(GO) run ./cmd/userkeys demo

.PHONY: build
build: ## one static binary, bin/userkeys
	@scripts/toolchain >/dev/null
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/userkeys ./cmd/userkeys

.PHONY: check
check: check-lint check-tidy check-cross ## format, lint, dead code, tidy modules, other platforms

.PHONY: check-lint
check-lint:
	@bad=$$($(TOOL) gofumpt -l .); test -z "$$bad" || { echo "not formatted by gofumpt:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@bad=$$($(TOOL) deadcode -test ./...); test -z "$$bad" || { echo "dead code:"; echo "$$bad"; exit 1; }

.PHONY: check-tidy
check-tidy:
	$(GO) mod tidy -diff
	@scripts/tidy-tools

.PHONY: check-cross
check-cross:
	@for p in $(PLATFORMS); do \
		echo "build $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./cmd/userkeys; \
	done
	@for os in darwin windows; do \
		echo "vet $$os"; \
		CGO_ENABLED=0 GOOS=$$os $(GO) vet ./client ./cmd/userkeys ./internal/appcmd/... ./internal/sitecmd/... ./internal/cli ./internal/desktop ./internal/keystore ./internal/posts ./internal/watch ./internal/doctor; \
	done

.PHONY: setup
setup: ## install what the tests need and is missing
	@scripts/setup

.PHONY: test
test: ## install and start what is missing, run every test, say what was skipped
	@scripts/test $(TESTARGS)

.PHONY: test-long
test-long: ## the same with many more rounds (crashes, races, differential fuzz)
	@USERKEYS_LONG=1 TIMEOUT=3h scripts/test $(TESTARGS)

.PHONY: test-again
test-again: ## tests of packages that start goroutines or wait, twice, shuffled
	@scripts/test-again

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	@FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: pictures
pictures: ## pictures of every page, light and dark, wide and narrow, in PICTURES (a new folder)
	@dir=$${PICTURES:-$$(mktemp -d)}; USERKEYS_SCREENSHOTS=$$dir $(GO) test ./test -run IsForEverybody -count=1 && echo "pictures: $$dir"

.PHONY: bench
bench: ## ratios against their goals, measured in interleaved slices
	@$(GO) build -o bin/compare ./internal/bench/compare
	@bin/compare $(BENCHARGS)

.PHONY: clean
clean: ## remove what was built and installed here
	rm -rf bin .cache testdata/apps/node_modules
