#!/usr/bin/env bash
# A fleet on this machine: a controller on 127.0.1.133 and agents on 127.0.1.137 to 127.0.1.140,
# driven by the guide's commands through extend.sh, with a stand-in for the PBX image and one for
# the PBX itself.
#   scripts/demo.sh          runs through, removes everything, leaves nothing behind
#   KEEP=1 scripts/demo.sh   leaves the fleet up and says how to look at it and how to end it
#   scripts/demo.sh end DIR  ends a fleet that was kept
set -euo pipefail
cd "$(dirname "$0")/.."

readonly IMAGE=extend.demo/pbx:22
readonly NODES=(127.0.1.137 127.0.1.138 127.0.1.139 127.0.1.140)
KEEP=${KEEP:-}
dir=

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }

# Ends everything the demonstration started and removes everything it made.
end() {
    local dir=$1 file pid tries
    [ -f "$dir/extend-demo" ] || fail "$dir is no demonstration's directory"
    for file in "$dir"/*.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        kill "$pid" 2>/dev/null || continue
        for tries in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            read -rt 0.1 <> <(:) || true
        done
        kill -9 "$pid" 2>/dev/null || true
    done
    # Containers are this run's only if it found none before.
    if [ -f "$dir/owns-containers" ] && docker version >/dev/null 2>&1; then
        local containers
        containers=$(docker ps -aq --filter "label=io.extend.node" --filter "name=^portsip\\." \
            | xargs -r docker inspect --format \
                '{{.Id}} {{index .Config.Labels "io.extend.node"}}' \
            | awk '$2 ~ /^127\.0\.1\.1(37|38|39|40)$/ {print $1}')
        [ -z "$containers" ] || xargs docker rm -f >/dev/null <<<"$containers"
        docker image rm "$IMAGE" >/dev/null 2>&1 || true
        # One that bears another name by now is not the demonstration's any more.
        xargs -r -n 1 docker image rm <"$dir/images" >/dev/null 2>&1 || true
    fi
    scripts/docker.sh down --state "$dir/docker"
    rm -rf "$dir"
}

if [ "${1:-}" = end ]; then
    [ -n "${2:-}" ] || fail 'which demonstration?' 'scripts/demo.sh end DIR'
    end "$2"
    exit 0
fi

[ "$(id -u)" = 0 ] || fail 'the demonstration needs root, for Docker and for the services'"'"' directories' \
    'sudo make demo'

command -v script >/dev/null || fail 'the program script is missing' 'apt-get install bsdutils'
[ -n "${EXTEND_DEMO_BIN:-}" ] || command -v cargo >/dev/null \
    || fail 'there is no Rust toolchain in PATH' 'a root shell with cargo in PATH (sudo drops ~/.cargo/bin)'

started=$SECONDS
dir=$(mktemp -d "${TMPDIR:-/tmp}/extend-demo.XXXXXX")
touch "$dir/extend-demo"
finish() {
    local code=$?
    trap - EXIT
    if [ "$code" != 0 ]; then
        printf '\nthe demonstration failed; the last lines of its logs:\n' >&2
        tail -n 8 "$dir"/*.log >&2 2>/dev/null || true
    fi
    if [ "$code" = 0 ] && [ -n "$KEEP" ]; then
        exit 0
    fi
    end "$dir" || true
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

say 'the Docker Engine'
scripts/docker.sh up --state "$dir/docker"
if [ -n "$(docker ps -aq --filter 'name=^portsip\.')" ]; then
    fail 'there are containers named portsip.* on this machine; the demonstration will not touch them' \
        'docker ps -a --filter name=^portsip\\.'
fi

touch "$dir/owns-containers"
: >"$dir/images"

# EXTEND_DEMO_BIN: a directory with programs that are built already.
bin=${EXTEND_DEMO_BIN:-}
if [ -z "$bin" ]; then
    say 'building (the first time takes a few minutes)'
    cargo build --quiet -p extend-controller -p extend-agent -p extend-pbx-standin
    bin=${CARGO_TARGET_DIR:-target}/debug
fi
bin=$(cd "$bin" && pwd)
scripts/standin-image.sh --print-id 22.3.0 "$IMAGE" >>"$dir/images"

cat >"$dir/controller.toml" <<EOF
address = "127.0.1.133"
state_dir = "$dir/controller"
socket = "$dir/controller.sock"
image = "$IMAGE"
# There is no registry: the image was made on this machine.
image_pull = "missing"
roles_dir = "$dir/roles.d"

[listen]
agents = "127.0.1.133:7443"
enrolment = "127.0.1.133:7444"
http = "127.0.1.133:7480"

[pbx]
address = "127.0.1.133"
api = "https://127.0.1.133:8887"
username = "extend"
password_file = "$dir/pbx.password"
certificate = "$dir/pbx.crt"
# It stands next door: it is asked often.
poll = "500ms"
EOF

export EXTEND_SOCKET="$dir/controller.sock"
export EXTEND_BIN="$bin/extend"
cp packaging/extend.sh "$dir/extend.sh"

say 'a stand-in for the PBX, a controller, and an agent for each node'
(umask 077 && head -c 18 /dev/urandom | base64 >"$dir/pbx.password")
"$bin/extend-pbx-standin" --listen 127.0.1.133:8887 --password-file "$dir/pbx.password" \
    --certificate "$dir/pbx.crt" --version-of-pbx 22.4.0 --online-at-once >"$dir/pbx.log" 2>&1 &
echo $! >"$dir/pbx.pid"
for tries in $(seq 100); do
    [ ! -s "$dir/pbx.log" ] || break
    kill -0 "$(cat "$dir/pbx.pid")" 2>/dev/null || fail 'the stand-in for the PBX did not start'
    read -rt 0.1 <> <(:) || true
done
"$bin/extend" controller --config "$dir/controller.toml" >"$dir/controller.log" 2>&1 &
echo $! >"$dir/controller.pid"
for tries in $(seq 100); do
    [ ! -S "$EXTEND_SOCKET" ] || break
    kill -0 "$(cat "$dir/controller.pid")" 2>/dev/null || fail 'the controller did not start'
    read -rt 0.1 <> <(:) || true
done
[ -S "$EXTEND_SOCKET" ] || fail "the controller did not open its socket in time (${tries} tries)"

for node in "${NODES[@]}"; do
    cat >"$dir/agent-$node.toml" <<EOF
state_dir = "$dir/$node"
data_dir = "$dir/data-$node"
repositories = ["extend.demo/pbx"]
# Four nodes on one machine, which is to stay as it is.
host_changes = false
roles_dir = "$dir/roles.d"
EOF
    "$bin/extend" node token -a "$node" 2>>"$dir/tokens.log" \
        | "$bin/extend-agent" --config "$dir/agent-$node.toml" join
    "$bin/extend-agent" --config "$dir/agent-$node.toml" run >"$dir/agent-$node.log" 2>&1 &
    echo $! >"$dir/agent-$node.pid"
done

# Shows a command as it is typed, and runs it.
typed() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    (cd "$dir" && eval "$*")
}

# A machine that other things run on is not as the guide wants a node: what a checkup has against it
# is accepted by name.
accept="--accept postgresql=demo --accept disk-size=demo --accept dns-dhcp=demo"

say 'the guide: deploying the servers'
typed "/bin/bash extend.sh run -s meeting-server-only -n meeting-server-1 -a 127.0.1.137 -A 54.215.234.53 $accept"
typed "/bin/bash extend.sh run -s queue-server-only -n queue-server-1 -a 127.0.1.138 -A 54.215.234.54 $accept"
typed "/bin/bash extend.sh run -s media-server-only -n media-server-1 -a 127.0.1.139 -A 54.215.234.52 $accept"
typed "/bin/bash extend.sh run -s vr-server-only -n ivr-server-1 -a 127.0.1.140 -A 54.215.234.55 $accept"
typed "$EXTEND_BIN status"
typed "$EXTEND_BIN whitelist list"

say 'the guide: managing all servers, one type, one server'
typed '/bin/bash extend.sh stop'
typed '/bin/bash extend.sh start'
typed '/bin/bash extend.sh restart'
typed '/bin/bash extend.sh stop -s media-server-only'
typed '/bin/bash extend.sh start -s media-server-only'
typed '/bin/bash extend.sh restart -s meeting-server-only -a 127.0.1.137'

say 'the guide: its own mistake (the meeting server is at .137) is refused'
code=0
typed '/bin/bash extend.sh restart -s media-server-only -a 127.0.1.137' || code=$?
[ "$code" = 4 ] || fail "it ended with exit code $code and not with 4"

say 'the guide: upgrading (a newer image under the same tag)'
scripts/standin-image.sh --print-id 22.4.0 "$IMAGE" >>"$dir/images"
typed "$EXTEND_BIN upgrade --plan" || [ $? = 10 ]
typed '/bin/bash extend.sh upgrade'
typed "$EXTEND_BIN status"

say 'at night: the media server freezes with its ports open; nobody is called'
frozen=$(docker inspect --format '{{.State.Pid}}' portsip.mediaserver)
typed "kill -STOP $frozen"
healed=
for tries in $(seq 600); do
    # Three probes five seconds apart, and ten seconds to end before it is killed.
    now=$("$EXTEND_BIN" status -n media-server-1 -o json | tr -d ' \n')
    if [[ $now == *'"health":"healthy"'* && $now == *'"agent_restarts":1'* ]]; then
        healed=yes
        break
    fi
    read -rt 0.1 <> <(:) || true
done
[ -n "$healed" ] || fail 'the frozen server was not healed in a minute'
typed "$EXTEND_BIN events -n media-server-1 --tail 3"
typed "$EXTEND_BIN status -n media-server-1"
if [ -n "$KEEP" ]; then
    cat <<EOF

The fleet is up. Look at it:
    export EXTEND_SOCKET=$EXTEND_SOCKET
    $EXTEND_BIN status
    docker ps
The agents' and the controller's logs, and the services' data, are in $dir.
End it:
    scripts/demo.sh end $dir
EOF
    exit 0
fi

say 'the guide: removing all servers (a bare rm asks, on a terminal)'
mkfifo "$dir/keys"
: >"$dir/screen"
(
    # Answers once the question is on the screen: what is typed ahead does not count.
    for tries in $(seq 200); do
        ! grep -q 'Type the number' "$dir/screen" || break
        read -rt 0.1 <> <(:) || true
    done
    # And neither does what comes quicker than anybody reads.
    read -rt 1 <> <(:) || true
    printf '4\r'
    # The terminal stays open until the command has ended.
    for tries in $(seq 600); do
        [ ! -e "$dir/removed" ] || break
        read -rt 0.1 <> <(:) || true
    done
) >"$dir/keys" &
printf '\n\033[1m$ /bin/bash extend.sh rm\033[0m\n'
code=0
script -qefc "/bin/bash $dir/extend.sh rm" "$dir/screen" <"$dir/keys" || code=$?
touch "$dir/removed"
wait %% 2>/dev/null || true
[ "$code" = 0 ] || fail "rm ended with exit code $code"
typed "$EXTEND_BIN status"
left=$(docker ps -aq --filter 'name=^portsip\.')
[ -z "$left" ] || fail "containers are left: $left"

say "done in $((SECONDS - started)) s"
