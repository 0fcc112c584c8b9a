# Installing with apt as it should be done beside others: nobody is asked anything, locks are
# waited for, an administrator's files stay, nothing is removed or restarted that is not ours,
# security updates stay as they are. Its words go to the log and not to our caller, so that it comes to its
# end when the connection does not last.
apt_get() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold "$@" </dev/null >>"$log" 2>&1
}

# The lists have a lock of their own, which apt does not wait for.
refresh() {
    for pause in 2 5 10 20 30 60; do
        apt_get update && return 0
        tail -n 5 "$log" | grep -q 'lock' || return 1
        sleep "$pause"
    done
    return 1
}

# Lists that are old or empty are fetched only when they turn out to be of no use.
apt_install() {
    apt_get install --no-remove "$@" && return 0
    # What an earlier try was killed in stands in the way of every other.
    dpkg --configure -a </dev/null >>"$log" 2>&1 || true
    refresh || true
    apt_get install --no-remove "$@"
}

install_docker() {
    apt_install docker.io || fail 'apt-get install docker.io did not succeed' "$(tail -n 8 "$log")"
    # A removal that was cut short leaves a package that apt takes for installed.
    has docker || apt_get install --reinstall docker.io || true
    has docker || fail 'docker.io is installed, and there is no docker' "$(tail -n 8 "$log")"
    systemctl enable --quiet --now docker.service </dev/null >>"$log" 2>&1 || true
    tries=60
    until timeout 10 docker version </dev/null >>"$log" 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail 'the Docker Engine is installed and does not answer' "$(tail -n 3 "$log")"
        sleep 1
    done
}

# A package by its file. Recommends are left out: they name a Docker Engine, and there is one.
install_package() {
    apt_install --no-install-recommends --allow-downgrades --reinstall "$1" ||
        fail "apt-get install of extend-agent $version did not succeed" "$(tail -n 8 "$log")"
}
