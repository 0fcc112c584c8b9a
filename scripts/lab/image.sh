#!/usr/bin/env bash
#
# lab/image.sh: makes the image of the lab's nodes, once, and keeps it in Docker.
#
#   scripts/lab/image.sh name            prints the name it has, made or not
#   scripts/lab/image.sh build WORK_DIR  makes it if it is not there (one to four minutes)
#   scripts/lab/image.sh remove          removes it, and those that earlier versions of this made
#
# A node is like an EC2 instance with Ubuntu's image: systemd, sshd, a user `ubuntu` who may sudo,
# cloud-init (asleep until somebody gives it user data), and an apt that works, though the lab has
# no way out: what a node may want to install lies in a repository on its own disk. It is this
# machine's own distribution, from the mirrors that this machine's apt is set up with.
#
# There are two tags: NAME has a Docker Engine, NAME-bare has none and may install it.
# Exit codes: 0 done, 1 failed, 2 usage.

set -euo pipefail

readonly REPOSITORY=extend-lab/node
# What an instance of EC2 has, as far as anything here asks for it.
readonly BASE=(systemd systemd-sysv libpam-systemd dbus iproute2 iptables iputils-ping procps kmod
    ca-certificates curl openssl openssh-server openssh-client sudo python3 cloud-init less
    bash-completion)
# What a node, the primary or the registry may install later, and a relay for calls that tests hold.
readonly OFFERED=(docker.io docker-registry skopeo firewalld rtpengine-daemon)
# Where the nodes find that.
readonly SHELF=/usr/local/share/apt

readonly START='CMD ["/usr/local/sbin/instance"]'
readonly CONTAINER=extend-lab-image

# Root by way of `su` has no sbin on its path.
PATH=$PATH:/usr/sbin:/sbin

fail() { # SENTENCE HINT
    printf 'image.sh: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

usage() {
    sed -n '3,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# What the image is made from, in a word: this file and the distribution.
name() {
    local sum
    # shellcheck disable=SC1091
    sum=$({ cat "${BASH_SOURCE[0]}"; . /etc/os-release; printf '%s %s' "$ID" "$VERSION_CODENAME"; } | sha256sum)
    printf '%s:%s' "$REPOSITORY" "${sum:0:12}"
}

# The mirrors of this machine's apt, one line each: URI, suite, component.
mirrors() {
    # shellcheck disable=SC2016,SC1091
    apt-get indextargets --format '$(ORIGIN)|$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | sort -u | (. /etc/os-release; sed -n "s/^$ID|//Ip")
}

in_root() { # COMMAND...
    # Nothing is started while it is being made, and no terminal is asked.
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        chroot "$TREE" "$@"
}

# The smallest system, with this machine's apt mirrors, security updates too.
lay_out() {
    local uri suite component
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release; printf '%s' "$VERSION_CODENAME")
    uri=$(mirrors | awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')
    [[ -n $uri ]] || fail "this machine's apt knows no mirror for $suite" "look into /etc/apt"
    debootstrap --variant=minbase "$suite" "$TREE" "$uri"
    : >"$TREE/etc/apt/sources.list"
    while read -r uri suite component; do
        printf 'deb %s %s %s\n' "$uri" "$suite" "$component" >>"$TREE/etc/apt/sources.list"
    done < <(mirrors)
    apt-config dump Acquire::http Acquire::https >"$TREE/etc/apt/apt.conf.d/90lab-build" || true
    printf '#!/bin/sh\nexit 101\n' >"$TREE/usr/sbin/policy-rc.d"
    chmod 755 "$TREE/usr/sbin/policy-rc.d"
    printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
        'path-exclude=/usr/share/locale/*' >"$TREE/etc/dpkg/dpkg.cfg.d/lab-build"
}

# An index as apt wants it, without the tools for it.
shelve() { # DIRECTORY: of packages
    local deb
    for deb in "$1"/*.deb; do
        dpkg-deb --field "$deb" | sed '/^ *$/d'
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$deb")" \
            "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
    done >"$1/Packages"
}

furnish() {
    local apt=(apt-get -q -y --no-install-recommends) package
    in_root "${apt[@]}" update
    in_root "${apt[@]}" dist-upgrade
    in_root "${apt[@]}" install "${BASE[@]}"
    in_root apt-get clean
    for package in "${OFFERED[@]}"; do
        in_root "${apt[@]}" install --download-only "$package"
    done
    mkdir -p "$TREE$SHELF"
    mv "$TREE"/var/cache/apt/archives/*.deb "$TREE$SHELF/"
    shelve "$TREE$SHELF"
    rm -f "$TREE"/var/lib/apt/lists/*_* "$TREE/etc/apt/apt.conf.d/90lab-build"
    printf 'deb [trusted=yes] file:%s ./\n' "$SHELF" >"$TREE/etc/apt/sources.list"
    in_root "${apt[@]}" update
}

# As an instance is when it was just made: keys and machine id come with its first start.
settle() {
    local unit
    rm -rf "$TREE/usr/sbin/policy-rc.d" "$TREE/etc/dpkg/dpkg.cfg.d/lab-build" \
        "$TREE"/etc/ssh/ssh_host_*_key* "$TREE"/usr/share/{doc,man,locale}/* "$TREE"/tmp/*
    : >"$TREE/etc/machine-id"
    mkdir -p "$TREE/var/log/journal" "$TREE/etc/systemd/system/ssh.service.d"
    cat >"$TREE/etc/systemd/system/ssh.service.d/host-keys.conf" <<'UNIT'
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
UNIT
    printf 'UseDNS no\nPasswordAuthentication no\n' >"$TREE/etc/ssh/sshd_config.d/lab.conf"
    in_root useradd --create-home --shell /bin/bash --groups sudo ubuntu
    install -m 700 -d "$TREE/home/ubuntu/.ssh"
    in_root chown ubuntu:ubuntu /home/ubuntu/.ssh
    printf 'ubuntu ALL=(ALL) NOPASSWD:ALL\n' >"$TREE/etc/sudoers.d/90-cloud-init-users"
    chmod 440 "$TREE/etc/sudoers.d/90-cloud-init-users"
    # Whoever tries user data removes this, seeds it, and starts the node anew.
    touch "$TREE/etc/cloud/cloud-init.disabled"
    cat >"$TREE/etc/cloud/cloud.cfg.d/90-lab.cfg" <<'YAML'
datasource_list: [NoCloud, None]
# What the image has settled already.
locale: false
preserve_hostname: true
ssh_deletekeys: false
apt: { preserve_sources_list: true }
YAML
    # Docker gives a container its cgroups, and the settings of its network, to read only.
    cat >"$TREE/usr/local/sbin/instance" <<'INIT'
#!/bin/sh
mount --bind /proc/sys/net /proc/sys/net
for place in /proc/sys/net /sys/fs/cgroup /sys/fs/cgroup/*/; do
    mount -o remount,bind,rw "$place" 2>/dev/null
done
exec /lib/systemd/systemd
INIT
    chmod 755 "$TREE/usr/local/sbin/instance"
    # There is no console, no device and no time to set in a container.
    for unit in getty.target console-getty.service systemd-udevd.service \
        systemd-udev-trigger.service systemd-timesyncd.service apt-daily.timer \
        apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer; do
        ln -sf /dev/null "$TREE/etc/systemd/system/$unit"
    done
}

prepare() {
    if ! command -v debootstrap; then
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends debootstrap
    fi
    lay_out
    furnish
    settle
}

import() {
    tar -C "$TREE" --numeric-owner -c . | docker import -c "$START" - "$NAME-bare"
    rm -rf "$TREE"
    docker rm -f "$CONTAINER" || true
    docker run --name "$CONTAINER" --network none --env DEBIAN_FRONTEND=noninteractive \
        "$NAME-bare" apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
        install docker.io
    docker commit -c "$START" "$CONTAINER" "$NAME"
    docker rm "$CONTAINER"
}

# In a shell of its own: one that stands left of || goes on after an error.
made() { # LOG STEP
    local code
    set +e
    (
        set -e
        "$2"
    ) >>"$1" 2>&1
    code=$?
    set -e
    [[ $code == 0 ]] || fail "the node image could not be made: $(tail -n 1 "$1")" "less $1"
}

build() { # WORK_DIR
    local began=$SECONDS
    NAME=$(name)
    if docker image inspect "$NAME" "$NAME-bare" >/dev/null 2>&1; then
        printf 'the node image %s is there\n' "$NAME"
        return
    fi
    [[ $(id -u) == 0 ]] || fail "making the node image needs root" "sudo make lab"
    mkdir -p "$1"
    LOG=$1/image.log
    TREE=$1/image
    : >"$LOG"
    # shellcheck disable=SC2064  # the names of now are meant
    trap "rm -rf '$TREE'; docker rm -f '$CONTAINER' >/dev/null 2>&1 || true" EXIT
    rm -rf "$TREE"
    printf 'making the node image %s (a few minutes; log: %s)\n' "$NAME" "$LOG"
    made "$LOG" prepare
    made "$LOG" import
    printf 'the node image %s is made after %d s\n' "$NAME" $((SECONDS - began))
}

remove() {
    docker image ls --format '{{.Repository}}:{{.Tag}}' "$REPOSITORY" | xargs -r docker image rm
}

case "${1:-} $#" in
    'name 1') name; echo ;;
    'build 2') build "$2" ;;
    'remove 1') remove ;;
    *) usage ;;
esac
