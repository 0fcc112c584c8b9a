# shellcheck shell=bash
#
# The lab's network and nodes: whether the addresses are free, how a node is started, and what an
# administrator puts on an instance before anything of ours is there. Sourced by scripts/lab.sh.

# Everything but CAP_SYS_RESOURCE, which not every machine can give: --privileged asks for it.
readonly CAPABILITIES=(CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK SYS_MODULE SYS_CHROOT SYS_PTRACE
    SYS_ADMIN SYS_NICE SYS_TTY_CONFIG MKNOD AUDIT_WRITE SETFCAP SYSLOG)
# A node has booted in 3 to 8 s; on a machine that has other things to do it takes longer.
readonly BOOT_LIMIT_S=120

# A node's name from its name, its address or its last number.
node_name() { # NODE
    local number=${1##*[.-]}
    [[ $number =~ ^[0-9]{1,3}$ ]] || fail "'$1' is no node" "ip-172-31-16-139, 172.31.16.139 or 139"
    printf 'ip-172-31-16-%s' "$number"
}

on() { # NODE COMMAND...: as root on a node; standard input goes there
    local node
    node=$(node_name "$1")
    shift
    docker exec -i "$node" "$@"
}

# --- addresses ---------------------------------------------------------------------------------

number_of() { # ADDRESS
    local a b c d
    IFS=. read -r a b c d <<<"$1"
    printf '%d' $(((a << 24) + (b << 16) + (c << 8) + d))
}

# Whether two networks, as FIRST_NUMBER LENGTH, share an address.
overlap() { # FIRST LENGTH FIRST LENGTH
    local shorter=$(($2 < $4 ? $2 : $4))
    (($1 >> (32 - shorter) == $3 >> (32 - shorter)))
}

is_of_the_lab() { # NETWORK/LENGTH
    overlap "$(number_of "${1%/*}")" "${1#*/}" "$(number_of "${SUBNET%/*}")" "${SUBNET#*/}"
}

# This machine's own routes, but for the default one, as NETWORK/LENGTH.
routes() {
    local to mask bits byte network
    while read -r _ to _ _ _ _ _ mask _; do
        [[ $to =~ ^[0-9A-F]{8}$ && $mask != 00000000 ]] || continue
        network="" bits=0
        for byte in 6 4 2 0; do
            network+=${network:+.}$((16#${to:byte:2}))
            for ((mask_byte = 16#${mask:byte:2}; mask_byte > 0; mask_byte &= mask_byte - 1)); do
                bits=$((bits + 1))
            done
        done
        # The kernel writes them in the machine's own order.
        printf '%s/%s\n' "$network" "$bits"
    done </proc/net/route
}

# Nobody else may have these addresses: traffic for the guide's nodes must reach no other machine.
check_addresses() {
    local network subnets subnet
    while read -r network subnets; do
        [[ $network != "$NETWORK" ]] || fail "there is a network $NETWORK that is not the lab's" \
            "docker network inspect $NETWORK"
        for subnet in $subnets; do
            [[ $subnet == *:* ]] || ! is_of_the_lab "$subnet" \
                || fail "Docker's network $network has addresses of $SUBNET ($subnet)" \
                    "docker network rm $network, if it is yours to remove"
        done
    done < <(docker network ls -q | xargs -r docker network inspect --format \
        '{{.Name}} {{range .IPAM.Config}}{{.Subnet}} {{end}}')
    while read -r subnet; do
        ! is_of_the_lab "$subnet" || fail "this machine has a route of its own to $subnet" \
            "the lab needs $SUBNET for itself: use another machine"
    done < <(routes)
}

# --- nodes -------------------------------------------------------------------------------------

make_network() {
    docker network create --internal --subnet "$SUBNET" --label "$LABEL=network" \
        --label "$LABEL.for=$FOR" --label "$LABEL.state=$(cd "$STATE" && pwd)" \
        --label "$LABEL.image=$IMAGE" "$NETWORK" >/dev/null
}

start_node() { # NUMBER [--bare]
    local name image=$IMAGE capability options=()
    name=$(node_name "$1")
    [[ ${2:-} != --bare ]] || image=$IMAGE-bare
    for capability in "${CAPABILITIES[@]}"; do
        options+=(--cap-add "$capability")
    done
    docker volume create --label "$LABEL=$name" "$name-docker" >/dev/null
    # With this stop signal `docker restart` is an orderly reboot; `docker kill` is a power loss.
    docker run --detach --name "$name" --hostname "$name" --label "$LABEL=$name" \
        --network "$NETWORK" --ip "172.31.16.${name##*-}" "${options[@]}" \
        --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --cgroupns private --stop-signal SIGRTMIN+3 --stop-timeout 30 \
        --tmpfs /run --tmpfs /run/lock --tmpfs /tmp \
        --volume "$name-docker:/var/lib/docker" "$image" >/dev/null
}

await_boot() { # NODE
    local deadline=$((SECONDS + BOOT_LIMIT_S)) state
    while :; do
        state=$(on "$1" timeout 5 systemctl is-system-running 2>/dev/null) || true
        case $state in
            running) return ;;
            degraded) fail "a unit of $(node_name "$1") failed: $(on "$1" systemctl --failed \
                --no-legend --plain | awk '{ print $1 }' | tr '\n' ' ')" \
                "make lab-shell NODE=$1, then systemctl --failed" ;;
        esac
        ((SECONDS < deadline)) || fail "$(node_name "$1") has not booted after $BOOT_LIMIT_S s" \
            "docker logs $(node_name "$1")"
        sleep "$POLL_S"
    done
}

# Who may log in, which authority the registry has, and where images may come from.
provision() { # NODE
    on "$1" sh -c 'umask 077; cat >/home/ubuntu/.ssh/authorized_keys
        chown ubuntu:ubuntu /home/ubuntu/.ssh/authorized_keys' <"$STATE/id_ed25519.pub"
    on "$1" sh -c "mkdir -p /etc/docker/certs.d/$REGISTRY
        cat >/etc/docker/certs.d/$REGISTRY/ca.crt" <"$STATE/registry.crt"
    on "$1" sh -c 'mkdir -p /etc/extend; cat >/etc/extend/agent.toml' <<TOML
# Images may also come from the lab's own registry.
repositories = ["portsip/*", "$REGISTRY/portsip/*"]
TOML
}

destroy_node() { # NODE
    docker rm --force --volumes "$(node_name "$1")" >/dev/null
    docker volume rm "$(node_name "$1")-docker" >/dev/null
}

# --- what is there -----------------------------------------------------------------------------

show_nodes() {
    local name state system engine
    printf '%-18s %-15s %-9s %-9s %s\n' NODE ADDRESS STATE SYSTEM ENGINE
    while read -r name state; do
        system=$(docker exec "$name" systemctl is-system-running 2>/dev/null) || true
        engine=$(docker exec "$name" docker version --format '{{.Server.Version}}' 2>/dev/null) \
            || engine=none
        printf '%-18s %-15s %-9s %-9s %s\n' "$name" "172.31.16.${name##*-}" "$state" \
            "${system:--}" "$engine"
    done < <(docker ps -a --filter "label=$LABEL" --format '{{.Names}} {{.State}}' | sort)
}
