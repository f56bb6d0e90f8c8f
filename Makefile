# Shortcuts; `make` lists them. Where things are built and kept: scripts/env.sh.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
IN_ENV := . scripts/env.sh &&

.PHONY: help run install test test-full lint dashboards check-monitoring docs offline-images sample-data bench-cache bench-kv bench-jobs bench-eviction soak-kv fuzz check-history load-test release sbom schemathesis clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the whole stack in one process: http://localhost:8081, data in ./data, Ctrl-C stops it
	@$(IN_ENV) exec cargo run --locked -- up

install: ## the command `elasticore` into ~/.cargo/bin (PREFIX), as built for `make run`
	@$(IN_ENV) cargo build --locked -p elasticore
	@$(IN_ENV) install -D -m 755 "$$CARGO_TARGET_DIR/debug/elasticore" "$${PREFIX:-$$HOME/.cargo}/bin/elasticore"

test: ## everything that is tested, in one run that ends with a count
	@scripts/test

test-full: ## `make test`, then the long runs: twenty times as many property cases, three rounds of every fault, the API against its document, and the load test
	@scripts/test --full

lint: ## format, clippy, shellcheck and the checks of configuration files
	@scripts/test --lint

dashboards: ## Grafana's dashboards from grafana/source
	@grafana/generate

check-monitoring: ## every query of dashboards and alerts against a real Prometheus and stacks under a known load; two minutes, after a build
	@scripts/check-monitoring

docs: ## API documentation of the crates
	@$(IN_ENV) RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --all-features --no-deps

offline-images: ## images of the stack without any image registry (deploy/compose.offline.yml)
	@scripts/offline-images

sample-data: ## TPC-H at scale 0.01 in ./data/sample: CSV, Parquet, NDJSON
	@scripts/sample-data

bench-cache: ## the cache through NGINX against NGINX alone and Redis, in turns, then with authentication, TLS and traces; about 25 minutes
	@bench/cache
	@bench/cache --only one --auth --tls
	@bench/cache --only one --traces

bench-kv: ## the key-value store of three masters against three servers of etcd; about 10 minutes, after a release build
	@bench/kv

bench-jobs: ## TPC-H and scheduling of jobs against DataFusion, DuckDB and Spark; about 10 minutes, after a release build
	@bench/jobs

bench-eviction: ## hit ratios and cost of the eviction policies on synthetic traces; seconds, after a release build
	@$(IN_ENV) cargo run --locked --release -p store --example eviction -- docs/performance.md

soak-kv: ## the key-value store under faults: 200 histories on both engines, each judged, as root (JOBS=6 at once; SOAK="--histories 20 --fault kill")
	@$(IN_ENV) cargo build --locked --workspace --all-features --bins --example soak_kv
	@$(IN_ENV) "$$CARGO_TARGET_DIR/debug/examples/soak_kv" --jobs $(or $(JOBS),1) $(SOAK)

fuzz: ## every parser that is ours with bytes that nobody would send: 5 minutes each (FUZZ_SECONDS), 2 at once (FUZZ_JOBS), TARGETS="ring names"
	@scripts/fuzz $(TARGETS)

check-history: ## judges a recorded history again: make check-history FILE=data/soak-kv/….ndjson
	@$(IN_ENV) cargo run --locked -p histories --example check_history -- $(FILE)

load-test: ## Locust against http://localhost:8081 (options: load_test/run_test.sh --help)
	@load_test/run_test.sh --headless

schemathesis: ## the API of a running stack against its own OpenAPI document; about 3 minutes
	@scripts/schemathesis

release: ## binaries, checksums and the bill of materials of this commit into ./dist; about 20 minutes
	@scripts/release

sbom: ## what the binaries are made of: CycloneDX JSON on standard output
	@scripts/sbom

clean: ## removes what was built; ./data stays
	@$(IN_ENV) cargo clean
