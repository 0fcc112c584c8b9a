#!/usr/bin/env bash
# Runs a command beside Debian's SIPp and kamailio, which are installed when they are missing. No
# service is started: the tests start both themselves, on 127.0.0.1.
#
#   scripts/sip.sh COMMAND…
#
# Exit codes: COMMAND's; 1 when one of them cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly POLICY=/usr/sbin/policy-rc.d
export PATH=$PATH:/usr/sbin

have_both() {
    command -v sipp >/dev/null && command -v kamailio >/dev/null
}

fail() { # SENTENCE
    printf 'error: %s\nhint: apt-get install sip-tester kamailio\n' "$1" >&2
    exit 1
}

install() {
    local log
    log=$(mktemp)
    # Otherwise the package would put a SIP server on every address of this machine.
    if [ ! -e "$POLICY" ]; then
        # Taken away again however this ends: the machine's other packages want their services.
        trap 'rm -f "$POLICY"' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >"$POLICY"
        chmod 755 "$POLICY"
    fi
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -q -y -o DPkg::Lock::Timeout=120) code=0
    "${apt[@]}" install --no-install-recommends sip-tester kamailio >"$log" 2>&1 ||
        { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends sip-tester kamailio; } \
            >>"$log" 2>&1 || code=$?
    # Nor at the next start of the machine.
    if [ "$code" = 0 ] && command -v systemctl >/dev/null; then
        systemctl disable kamailio >>"$log" 2>&1 || true
    fi
    [ "$code" = 0 ] || fail "SIPp and kamailio could not be installed: see $log"
    rm -f "$log"
}

if ! have_both; then
    [ "$(id -u)" = 0 ] || fail 'SIPp or kamailio is missing, and only root installs packages'
    printf 'installing the packages sip-tester and kamailio\n' >&2
    (install)
fi
have_both || fail 'SIPp or kamailio is missing'
exec "$@"
