# visavis: make run · make test · make bench · make setup
#
# Each target installs what it lacks (Debian and Ubuntu packages; sudo is used where it must be).
# From you it needs Rust (https://rustup.rs), git and make.

CARGO ?= cargo
OPENSSL = visavis-cli/openssl,visavis-tests/openssl
TARGET = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
PREFIX ?= /usr/local
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help run test test-sanitizers test-nvenc test-install test-av1 test-openssl test-python test-adapters wheel lint doc api abi header install deny msrv \
	features fuzz-check bench micro instructions profile fuzz fuzz-offers setup setup-abi setup-capi setup-count setup-deny setup-openssl \
	setup-profile setup-python setup-speech setup-test

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: setup ## build visavis and start the demo: a talking face on http://localhost:8081/
	$(CARGO) run --release --bin visavis -- serve $(ARGS)

test: setup-test ## every test, the browser ones included
	$(CARGO) build --workspace --lib --bins --examples --tests
	@# Without this the whole-system tests would build the programs once more, with the features that these have alone.
	$(if $(filter --release,$(ARGS)),,VISAVIS_BIN=$(TARGET)/debug/visavis) $(CARGO) test --workspace $(ARGS)

test-python: setup-python ## the Python package: its own tests, its types by mypy and pyright
	$(CARGO) build --workspace --lib --test python
	tools/python/test $(ARGS)

wheel: setup ## the Python package as a wheel, in target/wheels
	tools/python/wheel $(ARGS)

test-adapters: setup-speech ## the Python package's adapters and an example that talks, with some 500 MB from PyPI
	$(CARGO) build --workspace --lib --test python
	tools/python/test adapters $(ARGS)
	tools/python/test fastrtc $(ARGS)

test-av1: setup-test ## the encoders and Chromium with AV1; builds libaom, which takes minutes
	$(CARGO) test -p visavis-codec --features av1 --test encode
	$(CARGO) test -p visavis-tests --features av1 --test pictures av1
	$(CARGO) clippy -p visavis-codec -p visavis-cli -p visavis-bench -p visavis-tests --all-targets \
		--features visavis-codec/av1,visavis-cli/av1,visavis-bench/av1,visavis-tests/av1 -- -D warnings

test-openssl: setup-test setup-openssl ## DTLS by OpenSSL: viewers with RSA certificates (GStreamer's webrtcbin) play
	$(CARGO) build --workspace --bins --features $(OPENSSL)
	$(CARGO) test --workspace --features $(OPENSSL) --test hub --test data --test hostile --test secrets
	VISAVIS_BIN=$(TARGET)/debug/visavis $(CARGO) test --workspace --features $(OPENSSL) --test rsa_certificate
	$(CARGO) clippy -p visavis-core -p visavis-tests --all-targets \
		--features visavis-core/openssl,visavis-tests/openssl -- -D warnings

test-sanitizers: setup-test setup-count ## C programs under sanitizers and valgrind, and on one core; random calls for SECONDS=60
	$(CARGO) test --workspace --test sanitizers -- --ignored --test-threads 1
	@# What depends on which of two threads is the faster, or on one not having to wait for the other.
	taskset -c 0 $(CARGO) test --workspace --test programs --test viewers --test hardship
	FFI_FUZZ_SECONDS=$(or $(SECONDS),60) $(CARGO) test --workspace --test hardship random -- --nocapture

test-nvenc: setup-test ## NVENC with a stand-in for its driver, under AddressSanitizer: FRAMES=10000, each call failing
	@# The sanitizer is not stable; it is this compiler's all the same. In a folder of its own, as all is built anew. The
	@# stand-in finds it in the tests' program, which exports it. Not looked for are globals that are there twice, as
	@# openh264's are.
	RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_odr_violation=0 NVENC_FRAMES=$(or $(FRAMES),10000) \
		RUSTFLAGS="-Zsanitizer=address -Clink-arg=-Wl,--dynamic-list=$(CURDIR)/tests/nvenc-driver/sanitizer.symbols" \
		$(CARGO) test --locked -p visavis-nvenc --target-dir $(TARGET)/asan --target $(HOST) -- --nocapture

lint: setup ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc: setup ## the documentation, in target/doc; warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

api: setup ## the public API against docs/api; BLESS=1 writes a new one down
	@# As JSON, for which rustdoc needs to be told that it may: that alone, so that nothing else is built anew.
	RUSTDOC="$(CURDIR)/tools/api/rustdoc" RUSTDOCFLAGS="-Z unstable-options --output-format json" \
		$(CARGO) doc --quiet --workspace --no-deps --lib
	$(CARGO) run --quiet --locked --manifest-path tools/api/Cargo.toml --target-dir $(TARGET)/tools/api -- \
		$(if $(BLESS),--bless) $(TARGET)/doc docs/api

abi: setup-abi ## the C ABI against what was written down; BLESS=1 writes a new one, of a new major version
	@tools/check-abi $(if $(BLESS),--bless)

install: setup setup-capi ## libvisavis, its headers, pkg-config and CMake files, in PREFIX=/usr/local
	cd engine/ffi && PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) cinstall --profile library --locked \
		--prefix $(PREFIX) --libdir lib $(if $(DESTDIR),--destdir $(DESTDIR))

test-install: ## C and C++ programs against the installed library: pkg-config, find_package, static
	$(MAKE) install PREFIX=$(TARGET)/installed DESTDIR=
	@tools/test-install $(TARGET)/installed

header: ## visavis.h against its source, engine/ffi; BLESS=1 writes a new one
	$(CARGO) run --quiet --locked --manifest-path tools/header/Cargo.toml --target-dir $(TARGET)/tools/header -- \
		$(if $(BLESS),--bless) engine/ffi

deny: setup-deny ## licences, duplicates and sources of the dependencies, against deny.toml
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) deny --locked check licenses bans sources

msrv: setup ## a build with the oldest Rust that Cargo.toml promises
	@tools/msrv

features: setup-openssl ## a build without features, and one with each feature alone
	@tools/check-features

fuzz-check: setup ## the fuzz targets compiled, with the stable compiler and without a fuzzer
	@# With the profiles of this workspace they share what `make features` has compiled.
	@mkdir -p $(TARGET) && sed -n '/^\[profile/,$$p' Cargo.toml > $(TARGET)/profiles.toml
	$(CARGO) check --manifest-path tests/fuzz/Cargo.toml --config $(TARGET)/profiles.toml --target-dir $(TARGET) \
		--locked --bins

bench: setup-test ## glass-to-glass latency in a real browser; fails where it is not what is promised
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --bin visavis-bench -- glass --check $(ARGS)

micro: setup ## packetization, fan-out, look-ups, colour, pushes: each timed alone, without a socket
	$(CARGO) bench --workspace --bench packetize --bench fan_out --bench convert --bench mailbox -- $(ARGS)

instructions: setup-count ## instructions of the fan-out against the kept figure; BLESS=1 keeps a new one
	$(CARGO) bench --workspace --bench instructions --profile dev -- $(if $(BLESS),--bless)

profile: setup-profile ## a flame graph of the media loop under load, in target/profile.svg
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --bin visavis-bench -- profile $(ARGS)

fuzz: setup ## every fuzz target in turn: SECONDS=600 each, or TARGETS="sdp http"; see tests/fuzz
	tests/fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

fuzz-offers: setup ## made-up and damaged offers, answered and looked at: SECONDS=60 of each, without a fuzzer
	OFFERS_SECONDS=$(or $(SECONDS),60) $(CARGO) test --workspace --test sdp -- --nocapture --test-threads 2 \
		made_up mutated

setup: ## install what the build needs
	@tools/setup build

setup-abi: ## install what compares the C ABI
	@tools/setup abi

setup-capi: ## install what installs the C library; it is compiled, which takes minutes
	@tools/setup build capi

setup-count: ## install what counts instructions
	@tools/setup build count

setup-deny: ## install what looks at licences
	@tools/setup deny

setup-openssl: ## install what a build with the feature openssl needs
	@tools/setup build openssl

setup-profile: ## install what takes profiles
	@tools/setup build profile

setup-python: setup-test ## install what the tests of the Python package need, into target/python
	@tools/python/test install

setup-speech: ## install what examples talk with too
	@tools/setup build test speech

setup-test: ## install what the tests need too
	@tools/setup build test
