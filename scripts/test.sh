#!/usr/bin/env bash
# Does all of its own set-up and runs all tests; prints what each stage took.
#   scripts/test.sh         everything
#   scripts/test.sh quick   what needs no Docker Engine
#   scripts/test.sh lab     the tests in the lab, in their long form
#   scripts/test.sh metrics   only the metrics, against Debian's Prometheus
#   scripts/test.sh sip       only the SIP probe, against Debian's SIPp and kamailio
#   scripts/test.sh contract   only the contract with the PBX, against the file PBX_OPENAPI
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-all}
if [ "$mode" != quick ] && [ "$mode" != contract ] && [ "$mode" != metrics ] && [ "$mode" != sip ] &&
    [ "$(id -u)" != 0 ]; then
    printf 'error: the tests against Docker need root\nhint: make quick runs the others\n' >&2
    exit 2
fi
state=$(mktemp -d)
began=$SECONDS
lab=

finish() {
    local code=$?
    # Not a lab that somebody else has up: only the tests'.
    if [ -n "$lab" ] && ! scripts/lab.sh down --for tests; then
        printf 'the lab of the tests could not be taken away: make lab-down\n' >&2
        code=1
    fi
    if [ "$mode" = all ] && docker version >/dev/null 2>&1; then
        docker image rm -f extend.test/pbx:22 >/dev/null 2>&1 || true
    fi
    if scripts/docker.sh down --state "$state" >/dev/null 2>&1; then
        rm -rf "$state"
    else
        printf 'the dockerd that was started could not be stopped; see %s\n' "$state" >&2
    fi
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

# One set of features for everything, so that nothing is built twice.
readonly FEATURES=(--features extend-controller/failpoints,extend-agent/failpoints)

# nextest runs each test in a process of its own and is quicker; a fresh machine may lack it.
run_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast "$@"
    else
        cargo test --no-fail-fast "$@"
    fi
}

# The feature that only the packages have, against a server that stands in for EC2.
run_aws_tests() {
    cargo clippy -p extend-controller --all-targets --features aws --quiet -- -D warnings
    local runner=(test)
    if cargo nextest --version >/dev/null 2>&1; then
        runner=(nextest run)
    fi
    scripts/moto.sh cargo "${runner[@]}" --no-fail-fast -p extend-controller \
        --features failpoints,aws --test aws
    cargo "${runner[@]}" --no-fail-fast -p extend-controller --features failpoints,aws --lib \
        -- aws:: security_group::
}

# A real Prometheus scrapes a controller; promtool judges what is shown and what is shipped.
run_metrics_tests() {
    local runner=(test)
    if cargo nextest --version >/dev/null 2>&1; then
        runner=(nextest run)
    fi
    scripts/prometheus.sh cargo "${runner[@]}" --no-fail-fast -p extend-tests --test prometheus
}

# SIP servers that others have written are asked.
run_sip_tests() {
    local runner=(test)
    if cargo nextest --version >/dev/null 2>&1; then
        runner=(nextest run)
    fi
    scripts/sip.sh cargo "${runner[@]}" --no-fail-fast -p extend-tests --test sip
}

# The tests against the real Engine share its container names: one after the other.
run_engine_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast --test-threads 1 "$@"
    else
        cargo test --no-fail-fast "$@" -- --test-threads 1
    fi
}

# Nodes with systemd and an Engine of their own, in the packages as they ship.
lab_stages() {
    stage 'docker engine' scripts/docker.sh up --state "$state"
    stage 'packages' scripts/deb.sh
    # Should it come up by half, it goes all the same.
    scripts/lab.sh status >/dev/null 2>&1 || lab=yes
    stage 'lab' scripts/lab.sh up --for tests
    stage 'lab tests' run_engine_tests -p extend-tests --test 'lab_*'
    stage 'lab away' scripts/lab.sh down --for tests
    lab=
}

# Client and stand-in against the description of the PBX's API, which is not ours to keep here.
contract() {
    cargo run --quiet -p extend-pbx-contract --features extend-controller/failpoints -- "$PBX_OPENAPI"
}

if [ "$mode" = contract ]; then
    if [ -z "${PBX_OPENAPI:-}" ]; then
        printf 'error: no description of the API was named\nhint: make contract PBX_OPENAPI=FILE\n' >&2
        exit 2
    fi
    stage 'contract with the PBX' contract
    exit 0
fi

if [ "$mode" = metrics ]; then
    stage 'metrics' run_metrics_tests
    exit 0
fi

if [ "$mode" = sip ]; then
    stage 'sip' run_sip_tests
    exit 0
fi

if [ "$mode" = lab ]; then
    export EXTEND_LAB_LONG=yes
    lab_stages
    exit 0
fi

stage 'format' cargo fmt --all --check
stage 'units' scripts/units.sh
stage 'build' cargo build --workspace --all-targets
stage 'lints' cargo clippy --workspace --all-targets --quiet -- -D warnings
stage 'parts' run_tests --workspace --exclude extend-tests "${FEATURES[@]}"
stage 'simulated fleets' run_tests -p extend-tests --lib --test 'sim_*'
if [ -n "${PBX_OPENAPI:-}" ]; then
    stage 'contract with the PBX' contract
else
    printf '\n== contract with the PBX: not judged, no PBX_OPENAPI=FILE\n'
fi
[ "$mode" != quick ] || exit 0
stage 'security group' run_aws_tests
stage 'metrics' run_metrics_tests
stage 'sip' run_sip_tests
stage 'docker engine' scripts/docker.sh up --state "$state"
stage 'stand-in image' scripts/standin-image.sh 22.3.0 extend.test/pbx:22
stage 'real fleets' run_engine_tests -p extend-tests --test 'docker_*'
stage 'demo' env EXTEND_DEMO_BIN="${CARGO_TARGET_DIR:-target}/debug" scripts/demo.sh
lab_stages
