# Tells what this node is. Changes nothing.
main() {
    tell begun 1
    if [ -r "$R/etc/os-release" ]; then
        (
            . "$R/etc/os-release"
            tell os "${ID:-unknown} ${VERSION_ID:-unknown} ${PRETTY_NAME:-}"
        )
    fi
    if has dpkg && has apt-get; then
        tell architecture "$(dpkg --print-architecture)"
    fi
    tell machine "$(uname -m)"
    if [ -d "$R/run/systemd/system" ]; then tell systemd 1; fi
    if has ip; then
        ip -4 -o addr show | while read -r _ _ _ address _; do tell address "${address%/*}"; done
    else
        for address in $(hostname -I 2>/dev/null); do tell address "$address"; done
    fi
    df -Pk "$R/var" | {
        read -r _
        read -r _ total _ free _
        tell disk "$total $free"
    }
    tell synchronized "$(timeout 10 timedatectl show -p NTPSynchronized --value 2>/dev/null || echo unknown)"
    tell clock "$(date +%s)"
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'postgresql-[0-9]*' 2>/dev/null |
        while read -r status package; do
            if [ "$status" = installed ]; then tell postgres "$package"; fi
        done
    check_docker
    package=$(dpkg-query -W -f '${db:Status-Status} ${Version}' extend-agent 2>/dev/null || true)
    if [ -n "$package" ]; then tell agent "$package"; fi
    tell unit "$(systemctl show -p ActiveState --value extend-agent.service 2>/dev/null || echo unknown)"
    find_state
    joined=$(authority)
    if [ -n "$joined" ]; then
        tell joined "$joined $(sed -n 's/.*"node" *: *"\([0-9.]*\)".*/\1/p' "$state/enrolment.json")"
    fi
    registry=$R/etc/extend/registry.json
    if [ -f "$registry" ]; then
        tell registry "$(sha256sum <"$registry" | cut -c 1-64) $(stat -c '%U %a' "$registry")"
    fi
    tell end 1
}

check_docker() {
    if ! has docker && ! has dockerd; then return 0; fi
    if said=$(timeout 15 docker version --format '{{.Server.Version}}' 2>&1 </dev/null); then
        tell docker "answers $said"
        timeout 15 docker ps -a --filter name=portsip --format '{{.Names}} {{.Label "io.extend.node"}}' \
            </dev/null 2>/dev/null |
            while read -r name ours; do
                case $name in portsip.*) [ -n "$ours" ] || tell official "$name" ;; esac
            done
    else
        tell docker "silent $(printf '%s' "$said" | tail -n 1)"
    fi
}

main
