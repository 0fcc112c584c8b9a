#!/usr/bin/env bash
# Does all of its own set-up and runs all tests; prints what each stage took.
#   scripts/test.sh         everything
#   scripts/test.sh quick   what needs no Docker Engine
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-all}
state=$(mktemp -d)
began=$SECONDS

finish() {
    local code=$?
    scripts/docker.sh down --state "$state" >/dev/null 2>&1 || true
    rm -rf "$state"
    printf '\n== %s after %d s\n' "$([ "$code" = 0 ] && echo passed || echo "FAILED ($code)")" \
        $((SECONDS - began))
    exit "$code"
}
trap finish EXIT

stage() {
    local name=$1 started=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf -- '-- %s: %d s\n' "$name" $((SECONDS - started))
}

# nextest runs each test in a process of its own and is quicker; a fresh machine may lack it.
run_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast "$@"
    else
        cargo test --no-fail-fast "$@"
    fi
}

# The tests against the real Engine share its names and ports: one after the other.
run_engine_tests() {
    export EXTEND_TEST_ENGINE=1
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast --test-threads 1 -p extend-tests "$@"
    else
        cargo test --no-fail-fast -p extend-tests "$@" -- --test-threads 1
    fi
}

stage 'format' cargo fmt --all --check
stage 'build' cargo build --workspace --all-targets
stage 'lints' cargo clippy --workspace --all-targets --quiet -- -D warnings
if [ "$mode" = quick ]; then
    stage 'tests without an Engine' run_tests --workspace --exclude extend-tests
    stage 'simulated fleets' run_tests -p extend-tests --lib --test 'sim_*'
    exit 0
fi
stage 'docker engine' scripts/docker.sh up --state "$state"
stage 'tests without an Engine' run_tests --workspace --exclude extend-tests
stage 'simulated fleets' run_tests -p extend-tests --lib --test 'sim_*'
stage 'stand-in image' scripts/standin-image.sh 22.3.0 extend.test/pbx:22
stage 'tests against the Engine' run_engine_tests --test 'docker_*'
stage 'demo' scripts/demo.sh
