# visavis: make run · make test · make bench · make setup
#
# Each target installs what it lacks (Debian and Ubuntu packages; sudo is used where it must be).
# From you it needs Rust (https://rustup.rs), git and make.

CARGO ?= cargo

.PHONY: help run test lint bench setup setup-test

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: setup ## build visavis and start the demo: a talking face on http://localhost:8081/
	$(CARGO) run --release --bin visavis -- serve --demo $(ARGS)

test: setup-test ## every test, the browser ones included
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace $(ARGS)

lint: setup ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: setup-test ## glass-to-glass latency in a real browser; fails where it is not what is promised
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --bin visavis-bench -- glass --check $(ARGS)

setup: ## install what the build needs
	@tools/setup build

setup-test: ## install what the tests need too
	@tools/setup build test
