#!/usr/bin/env bash
# Checks every unit in packaging/systemd: that systemd understands each line of it, and that its
# sandbox is as tight as it has to be (`systemd-analyze security`, 10 is no sandbox at all).
set -euo pipefail
cd "$(dirname "$0")/.."

# The most that each service may score, in tenths. A service without a line here fails.
declare -Ar MOST=(
    [extend-agent.service]=15
    [extend-controller.service]=15
    # They are root, and have to be.
    [extend-agent-host@.service]=16
    [extend-shim@.service]=18
)

if ! command -v systemd-analyze >/dev/null; then
    printf 'error: cannot check the units: there is no systemd-analyze\n' >&2
    printf 'hint: apt-get install systemd\n' >&2
    exit 1
fi

aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
failed=0

complain() {
    printf 'error: %s\n' "$1" >&2
    failed=1
}

# The programs need not be installed here, and the manual pages neither.
for unit in packaging/systemd/*; do
    sed -E 's#^(Exec[A-Za-z]+=[-+!@:]*)/usr/bin/extend[^ ]*#\1/bin/true#' "$unit" >"$aside/$(basename "$unit")"
done
said=$(cd "$aside" && systemd-analyze verify --man=no --recursive-errors=no ./* 2>&1) || complain "systemd refuses a unit"
# systemd passes over what it does not know, with a warning that names the file.
if grep -F "$aside" <<<"$said" >&2; then
    complain "a unit has lines that systemd does not understand"
elif [ "$failed" != 0 ]; then
    printf '%s\n' "$said" >&2
fi

for unit in packaging/systemd/*.service; do
    name=$(basename "$unit")
    most=${MOST[$name]-}
    if [ -z "$most" ]; then
        complain "there is no limit for $name in scripts/units.sh"
        continue
    fi
    report=$(systemd-analyze security --no-pager --offline=true --threshold="$most" "./$unit" 2>&1) || {
        grep '^✗' <<<"$report" >&2 || printf '%s\n' "$report" >&2
        complain "the sandbox of $name is wider than $most tenths"
    }
    printf '%s: %s (at most %d.%d)\n' "$name" "$(grep -oE 'level for .*' <<<"$report" | grep -oE '[0-9]+\.[0-9]+')" \
        $((most / 10)) $((most % 10))
done
exit "$failed"
