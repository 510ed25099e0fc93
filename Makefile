# homeostat's commands. Each brings along what it needs (see scripts/setup); Rust itself is all that must be there.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.PHONY: help demo test lint bench quality fuzz run fmt

# What scripts/setup starts for tests, unless the environment names another server.
TEST_DATABASE_URL := postgres://homeostat:homeostat@127.0.0.1:5433/homeostat

# Half-built crates are worth keeping between edits, not on a machine that builds once.
ifeq ($(CI),true)
export CARGO_INCREMENTAL := 0
endif

help:
	@echo 'make demo              the whole loop: a crash, its issue, a fix, the proof, a proposal (HEADLESS=1: no questions, JSON)'
	echo 'make test              every test, with a real Docker engine, PostgreSQL and git'
	echo 'make lint              format, clippy, documentation, licences'
	echo 'make bench             speed of the scan'
	echo 'make quality           what joining and fingerprinting are worth (HOMEOSTAT_CORPUS=FOLDER: on shared data too; BASELINE=write keeps it)'
	echo 'make fuzz              libFuzzer on everything that takes bytes from outside (SECONDS=600 for each target)'
	echo 'make run CONFIG=FILE   the daemon, as built from here'
	echo 'make fmt               format the code'

demo:
	@scripts/setup demo
	cargo build
	# cargo gives way to the program: Ctrl-C reaches it, and its exit code is the one seen here.
	cargo run --quiet -- demo $(if $(HEADLESS),--headless --json)

test:
	@scripts/setup test
	export HOMEOSTAT_TEST_DATABASE_URL="$${HOMEOSTAT_TEST_DATABASE_URL:-$(TEST_DATABASE_URL)}"
	if cargo nextest --version >/dev/null 2>&1; then
	  # Examples in the documentation first, so that the summary of all other tests stands last.
	  cargo test --doc
	  cargo nextest run
	else
	  cargo test --no-fail-fast
	fi

lint:
	@cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items
	if cargo deny --version >/dev/null 2>&1; then
	  cargo deny --log-level error check licenses bans sources
	else
	  echo 'cargo-deny is not here: licences, bans and sources are not checked' >&2
	fi
	if command -v shellcheck >/dev/null; then
	  shellcheck --external-sources scripts/* .ci/run
	fi

bench:
	@scripts/bench

quality:
	@cargo bench --bench quality

fuzz:
	@scripts/fuzz $(or $(SECONDS),600)

run:
	@cargo run --quiet -- run $(if $(CONFIG),--config '$(CONFIG)')

fmt:
	@cargo fmt
