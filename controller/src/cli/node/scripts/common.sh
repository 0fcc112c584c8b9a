# What every script begins with. A script is one function and the call of it at the very end, so
# that one that arrives cut short is a mistake of syntax and does nothing. It speaks in lines
# `extend KEY VALUE`; whatever else a login prints is not ours.
# EXTEND_ROOT stands in front of every path of the system: tests have a directory there.
set -u
R=${EXTEND_ROOT-}
log=$R/var/log/extend-bootstrap.log
state=$R/var/lib/extend-agent

tell() { printf 'extend %s %s\n' "$1" "$2"; }

has() { command -v "$1" >/dev/null 2>&1; }

# The reason, what whoever failed said last, and the end.
fail() {
    tell failed "$1"
    printf '%s\n' "${2-}" | tail -n 8 | sed -n '/./s/^/extend log /p'
    exit 1
}

# So many bytes of standard input, into a file that is there, and whole by their hash.
receive() {
    words=$(head -c "$1" 2>&1 >"$3") || fail "what was sent cannot be kept in ${3%/*}" "$words"
    printf '%s  %s\n' "$2" "$3" | sha256sum -c --status || fail 'what was sent did not arrive whole'
}

# Where the agent keeps its identity, if its configuration moves it.
find_state() {
    [ -r "$R/etc/extend/agent.toml" ] || return 0
    moved=$(sed -n "s/^[[:space:]]*state_dir[[:space:]]*=[[:space:]]*[\"']\([^\"']*\)[\"'].*/\1/p" "$R/etc/extend/agent.toml")
    [ -z "$moved" ] || state=$R$moved
}

# The fingerprint of the authority that this node trusts; nothing when it has not joined.
authority() {
    [ -s "$state/enrolment.json" ] && [ -s "$state/ca.crt" ] || return 0
    sed '/^-----/d' "$state/ca.crt" | base64 -d 2>/dev/null | sha256sum | cut -c 1-64
}
