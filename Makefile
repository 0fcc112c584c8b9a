# The one entrance. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

help: ## What there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: ## The guide's commands on four servers, on this machine, with a stand-in for the PBX (KEEP=1 leaves it up)
	@scripts/demo.sh

test: ## Everything: formatting, lints, all tests (the ones against real Docker too), the demo
	@scripts/test.sh

quick: ## Formatting, lints and the tests that need no Docker Engine
	@scripts/test.sh quick

sweep: ## The long form of the fault sweeps: everybody is killed at every point, however often it is reached
	EXTEND_SWEEP=long cargo test -p extend-tests --test sim_faults

bench: ## Measures docs/benchmarks.md on this machine (ONLY=fan-out,status; WRITE=1 puts the table there)
	@scripts/bench.sh

lab: ## A fleet of nodes with systemd and Docker on this machine, at the guide's addresses
	@scripts/lab.sh up

lab-down: ## Takes the lab away, every trace of it
	@scripts/lab.sh down

lab-shell: ## A shell on a node of the lab (NODE=ip-172-31-16-139, 172.31.16.139 or 139)
	@scripts/lab.sh shell $(NODE)

test-lab: ## The tests in the lab in their long form: brings one up, runs them, takes it away
	@scripts/test.sh lab

test-sip: ## The SIP probe against Debian's SIPp and kamailio
	@scripts/test.sh sip

test-metrics: ## The metrics, the rules and the dashboard against Debian's Prometheus
	@scripts/test.sh metrics

contract: ## The client of the PBX and its stand-in against the API's own description (PBX_OPENAPI=FILE)
	@scripts/test.sh contract

build: ## The programs, for this machine
	cargo build --release -p extend-controller -p extend-agent

deb: ## The Debian packages extend and extend-agent, in target/deb (PROFILE=quick builds sooner)
	@scripts/deb.sh

deny: ## Licences, advisories and sources of all dependencies (needs cargo-deny)
	cargo deny check

.PHONY: help demo test quick sweep test-sip test-metrics contract bench build deb deny lab lab-down lab-shell test-lab
