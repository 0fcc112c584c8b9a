#!/usr/bin/env bash
# Runs a command beside Debian's Prometheus, which is fetched and unpacked once: nothing is
# installed, and no service is started.
#
#   scripts/prometheus.sh COMMAND…   runs COMMAND with EXTEND_PROMETHEUS and EXTEND_PROMTOOL
#
#   EXTEND_PROMETHEUS=PROGRAM EXTEND_PROMTOOL=PROGRAM   takes those instead of fetching any
#
# Tests start it themselves, on 127.0.0.1. Exit codes: COMMAND's; 1 when there is no Prometheus.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PLACE=${CARGO_TARGET_DIR:-$PWD/target}/prometheus

fail() { # SENTENCE HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

fetch() {
    local aside=$PLACE.$$
    command -v apt-get >/dev/null ||
        fail 'there is no prometheus, and no apt-get to fetch it with' \
            'name the programs: EXTEND_PROMETHEUS=… EXTEND_PROMTOOL=…'
    printf 'fetching the package prometheus into %s\n' "$PLACE" >&2
    rm -rf "$aside"
    mkdir -p "$aside/package"
    # Who fetches for root is another user, who cannot write here.
    local apt=(apt-get -q -o APT::Sandbox::User= -o DPkg::Lock::Timeout=120)
    if ! (cd "$aside/package" && "${apt[@]}" download prometheus) >"$aside/apt.log" 2>&1; then
        [ "$(id -u)" != 0 ] || "${apt[@]}" update >>"$aside/apt.log" 2>&1 || true
        (cd "$aside/package" && "${apt[@]}" download prometheus) >>"$aside/apt.log" 2>&1 ||
            fail "the package prometheus could not be fetched: see $aside/apt.log" \
                'apt-get update, and see whether the mirror can be reached'
    fi
    dpkg-deb -x "$aside"/package/prometheus_*.deb "$aside/root"
    "$aside/root/usr/bin/promtool" --version >"$aside/version" 2>&1 ||
        fail "the promtool that was fetched does not run: see $aside/version" \
            "rm -rf $aside, and try again"
    rm -rf "$aside/package"
    mv -T "$aside" "$PLACE" 2>/dev/null || rm -rf "$aside"
}

[ $# -gt 0 ] || fail 'there is no command to run' 'scripts/prometheus.sh cargo nextest run …'
if [ -z "${EXTEND_PROMETHEUS:-}" ] || [ -z "${EXTEND_PROMTOOL:-}" ]; then
    [ -x "$PLACE/root/usr/bin/prometheus" ] || fetch
    EXTEND_PROMETHEUS=$PLACE/root/usr/bin/prometheus
    EXTEND_PROMTOOL=$PLACE/root/usr/bin/promtool
fi
export EXTEND_PROMETHEUS EXTEND_PROMTOOL
exec "$@"
