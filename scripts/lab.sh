#!/usr/bin/env bash
#
# lab.sh: a fleet of nodes on this machine, at the addresses of PortSIP's guide.
#
#   scripts/lab.sh up [--for tests]       brings it up, and prints what to type next
#   scripts/lab.sh status                 shows the nodes
#   scripts/lab.sh shell NODE [COMMAND…]  opens a shell on a node: its name, address or last number
#   scripts/lab.sh release VERSION [TAG]  puts that version of the stand-in for the PBX image under
#                                         TAG (22) in the lab's registry
#   scripts/lab.sh node NODE [--bare]     starts one more node, or one that was destroyed
#   scripts/lab.sh primary NODE [DEB]     makes a node a primary: installs the package extend
#   scripts/lab.sh destroy NODE           a node, and everything on it, is gone
#   scripts/lab.sh down [--for tests] [--all]
#                                         removes every trace, and looks whether it is so; the node
#                                         image stays, unless --all
#
# The nodes are containers with systemd (scripts/lab/image.sh makes their image), on a network
# without a way out:
#
#   ip-172-31-16-132        a registry with TLS and a password
#   ip-172-31-16-133        the primary: the package `extend`, the controller under systemd
#   ip-172-31-16-137 … 139  nodes with a Docker Engine and nothing of ours
#   ip-172-31-16-140        a node without a Docker Engine
#
# A lab is the user's or the tests' (--for tests); the tests leave the user's alone. What lies on
# this machine's disk is in target/lab. Exit codes: 0 done, 1 failed, 2 usage.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NETWORK=extend-lab
readonly SUBNET=172.31.16.0/20
readonly LABEL=io.extend.lab
readonly REGISTRY=172.31.16.132:5000
readonly REPOSITORY=$REGISTRY/portsip/pbx
readonly LOCK=/run/extend-lab.lock
readonly POLL_S=0.1
STATE=${CARGO_TARGET_DIR:-target}/lab
[[ $STATE == /* ]] || STATE=$PWD/$STATE

PATH=$PATH:/usr/sbin:/sbin

fail() { # SENTENCE HINT
    printf 'lab.sh: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

usage() {
    sed -n '3,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

stage() { # NAME COMMAND...
    local name=$1 began=$EPOCHREALTIME
    shift
    "$@"
    printf -- '-- %s: %s s\n' "$name" "$(awk -v a="${began/,/.}" -v b="${EPOCHREALTIME/,/.}" \
        'BEGIN { printf "%.1f", b - a }')"
}

logged() { # SENTENCE COMMAND...: what it says goes to the log, and the sentence is said if it fails
    local sentence=$1 log=$STATE/lab.log
    shift
    "$@" >>"$log" 2>&1 || fail "$sentence: $(tail -n 1 "$log")" "less $log"
}

network_label() { # KEY
    docker network inspect --format "{{index .Labels \"$LABEL.$1\"}}" "$NETWORK" 2>/dev/null || true
}

is_up() { [[ -n $(network_label for) ]]; }

# One that is up says where its things are, and from what its nodes are made.
need_lab() {
    is_up || fail "there is no lab" "make lab"
    STATE=$(network_label state)
    IMAGE=$(network_label image)
}

# shellcheck source=scripts/lab/nodes.sh
. scripts/lab/nodes.sh
# shellcheck source=scripts/lab/registry.sh
. scripts/lab/registry.sh
# shellcheck source=scripts/lab/primary.sh
. scripts/lab/primary.sh
# shellcheck source=scripts/lab/away.sh
. scripts/lab/away.sh

bring_up() {
    mkdir -p "$STATE"
    chmod 700 "$STATE"
    stage 'Docker Engine' scripts/docker.sh up --state "$STATE/docker"
    ! is_up || fail "there is a lab already: the $(network_label for)'s" \
        "scripts/lab.sh status shows it, make lab-down takes it away"
    check_addresses
    : >"$STATE/lab.log"
    stage 'packages' build_packages
    stage 'node image' scripts/lab/image.sh build "$STATE"
    IMAGE=$(scripts/lab/image.sh name)
    stage 'keys' make_secrets
    stage 'network and nodes' start_nodes
    stage 'registry' furnish_registry
    stage 'stand-in image' release 22.3.0
    stage 'primary' furnish_primary 133
}

start_nodes() {
    local number
    make_network
    for number in 137 138 139; do start_node "$number"; done
    for number in 132 133 140; do start_node "$number" --bare; done
    for number in 132 133 137 138 139 140; do
        await_boot "$number"
        provision "$number"
    done
}

one_more() { # NODE [--bare]
    start_node "$@"
    await_boot "$1"
    provision "$1"
}

say_next() {
    cat <<NEXT

The lab is up. On the primary (make lab-shell NODE=133) type what README's section on a fleet says:

    extend node bootstrap -a 172.31.16.137,172.31.16.138,172.31.16.139,172.31.16.140 \\
        --registry-credentials /root/registry.json

Here, on this machine: scripts/lab.sh release 22.4.0 puts a newer image under the same tag,
scripts/lab.sh status shows the nodes, make lab-down takes everything away.
NEXT
}

VERB=${1:-}
shift || true
FOR=user ALL=""
if [[ $VERB == up || $VERB == down ]]; then
    while (($#)); do
        case $1 in
            --for) FOR=${2:-}; [[ $FOR == tests ]] || usage; shift ;;
            --all) ALL=yes ;;
            *) usage ;;
        esac
        shift
    done
    [[ $(id -u) == 0 ]] || fail "the lab needs root" "sudo make lab"
    exec 9>"$LOCK"
    flock -n 9 || fail "another lab.sh brings a lab up or takes it down" "wait for it"
elif [[ $VERB =~ ^(status|shell|release|node|primary|destroy)$ ]]; then
    [[ $VERB == status || -n ${1:-} ]] || usage
    need_lab
else
    usage
fi
case $VERB in
    up) stage 'the lab is up' bring_up; say_next ;;
    down) stage 'the lab is away' take_down ;;
    status) printf "the lab is the %s's\n" "$(network_label for)"; show_nodes ;;
    shell)
        node=$(node_name "$1")
        shift
        terminal=()
        [[ ! -t 0 ]] || terminal=(-t)
        (($#)) || set -- bash -l
        exec docker exec -i "${terminal[@]}" --workdir /root "$node" "$@"
        ;;
    release) release "$@" ;;
    node) one_more "$@" ;;
    primary) furnish_primary "$@" ;;
    destroy) destroy_node "$@" ;;
esac
