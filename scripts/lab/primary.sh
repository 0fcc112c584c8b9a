# shellcheck shell=bash
#
# The lab's primary: the vendor's directory, the package `extend`, and its configuration, as the
# install guide has it. Sourced by scripts/lab.sh.

# What the guide calls the Elastic IP of the PBX. Nothing is sent there.
readonly PBX=54.151.30.9
# A controller answers within a second of its start.
readonly CONTROLLER_LIMIT_S=30

# EXTEND_LAB_DEBS names a directory with packages that are built already.
build_packages() {
    [[ -n ${EXTEND_LAB_DEBS:-} ]] || logged "the packages could not be built" scripts/deb.sh
}

package() { # NAME: the newest file of it, leaving those that tests make of it
    local directory=${EXTEND_LAB_DEBS:-${CARGO_TARGET_DIR:-target}/deb} file
    file=$(find "$directory" -maxdepth 1 -name "$1_*.deb" ! -name '*+*' -printf '%T@ %p\n' 2>/dev/null \
        | sort -n | tail -n 1 | cut -d' ' -f2-)
    [[ -n $file ]] || fail "there is no package $1 in $directory" "make deb"
    printf '%s' "$file"
}

# The vendor's own package, as far as the guide's lines need it.
unpack_vendor() { # NODE
    on "$1" sh -c 'mkdir -p /opt/portsip-pbx-ha-guide
        cat >/opt/portsip-pbx-ha-guide/extend.sh' <<'SH'
#!/bin/bash
echo "the vendor's extend.sh: $*"
SH
}

furnish_primary() { # NODE [DEB]
    local number=${1##*[.-]} address standby=() other deb
    address=172.31.16.$number
    for other in 133 134 135; do
        [[ $other == "$number" ]] || standby+=("\"172.31.16.$other\"")
    done
    deb=${2:-$(package extend)}
    on "$1" sh -c 'umask 077; mkdir -p /root/.ssh; cat >/root/.ssh/id_ed25519' <"$STATE/id_ed25519"
    on "$1" sh -c 'umask 077; cat >/root/registry.json' <"$STATE/registry.json"
    unpack_vendor "$1"
    on "$1" sh -c 'cat >/tmp/extend.deb' <"$deb"
    logged "the package extend could not be installed" on "$1" \
        env DEBIAN_FRONTEND=noninteractive apt-get -q -y --reinstall install /tmp/extend.deb
    on "$1" rm /tmp/extend.deb
    on "$1" sed -i -e "s|^#\?address = \"172.*|address = \"$address\"|" \
        -e "s|^#address = \"54.*|address = \"$PBX\"|" \
        -e "s|^#standby = .*|standby = [${standby[0]}, ${standby[1]}]|" \
        -e "s|^#image = .*|image = \"$REPOSITORY:22\"|" /etc/extend/controller.toml
    logged "extend.sh could not be put where the guide looks for it" on "$1" extend shim install
    on "$1" systemctl --quiet enable extend-controller
    on "$1" systemctl restart extend-controller
    await_controller "$1"
}

await_controller() { # NODE
    local deadline=$((SECONDS + CONTROLLER_LIMIT_S))
    until on "$1" extend node list >/dev/null 2>&1; do
        ((SECONDS < deadline)) || fail "the controller does not answer" \
            "make lab-shell NODE=$1, then journalctl -u extend-controller"
        sleep "$POLL_S"
    done
}
