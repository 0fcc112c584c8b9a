#!/usr/bin/env bash
#
# docker.sh: makes sure a Docker Engine answers on this machine, and stops it again.
#
#   scripts/docker.sh up   [--state DIR]   install docker.io if there is no dockerd, start it if
#                                          nothing answers, wait until it does
#   scripts/docker.sh down [--state DIR]   stop the dockerd that `up` with the same DIR started,
#                                          and no other; packages stay installed
#
# DIR (default: target/docker) holds the record of what was started and the log of dockerd.
# Both verbs may be repeated. Exit codes: 0 done, 1 failed, 2 usage.

set -euo pipefail

readonly SOCKET=/var/run/docker.sock
readonly DAEMON_PID_FILE=/var/run/docker.pid
readonly CONTAINERD_PID_FILE=/var/run/docker/containerd/containerd.pid
# Two test runs may call `up` at the same moment; one of them starts the daemon, the other waits.
readonly LOCK=/run/extend-docker.lock
# A cold dockerd needs a few seconds, one with many containers to restore up to half a minute.
readonly START_LIMIT_S=60
# dockerd gives its containers their stop timeout before it goes, 15 s at least.
readonly STOP_LIMIT_S=60
readonly POLL_S=0.1

# Root by way of `su` has no sbin on its path.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }

fail() { # SENTENCE HINT
    printf 'docker.sh: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

usage() {
    sed -n '3,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# The engine's version, or failure. A daemon that hangs must not hang us; a client of another
# version than the daemon negotiates the API version by itself.
engine_version() {
    local version
    version=$(timeout 5 env -u DOCKER_CONTEXT DOCKER_HOST="unix://$SOCKET" \
        docker version --format '{{.Server.Version}}' 2>/dev/null) || return 1
    [[ -n $version ]] && printf '%s' "$version"
}

# A pid alone does not name a process: it may have been reused since it was written down.
start_ticks() { # PID
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The second field is the name in parentheses and may contain spaces.
    awk '{ print $20 }' <<<"${stat##*) }"
}

runs() { # PID NAME
    local comm state
    comm=$(cat "/proc/$1/comm" 2>/dev/null) || return 1
    # A zombie has ended; it only waits for a parent that may never ask.
    state=$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null) || return 1
    [[ $comm == "$2" && $state != Z ]]
}

pid_in() { # PID_FILE NAME: prints the pid when the file names a live process of that name
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] && runs "$pid" "$2" && printf '%s' "$pid"
}

# After a kill -9 or a reset the pid files stay. dockerd only asks whether *some* process has that
# pid, and then refuses to start, or waits for a containerd that is something else.
remove_stale_pid_files() {
    pid_in "$DAEMON_PID_FILE" dockerd >/dev/null || rm -f "$DAEMON_PID_FILE"
    pid_in "$CONTAINERD_PID_FILE" containerd >/dev/null || rm -f "$CONTAINERD_PID_FILE"
}

need_root() { # WHAT
    [[ $(id -u) == 0 ]] || fail "$1 needs root" "sudo ${BASH_SOURCE[0]} $VERB --state $STATE"
}

under_systemd() { [[ -d /run/systemd/system ]]; }

install_engine() {
    command -v apt-get >/dev/null ||
        fail "there is no dockerd, and no apt-get to install it with" \
            "install Docker Engine the way this system does it, then run this again"
    say "no dockerd on PATH: installing docker.io"
    local apt=(apt-get -q -y -o DPkg::Lock::Timeout=120) packages=(docker.io)
    export DEBIAN_FRONTEND=noninteractive
    "${apt[@]}" update >"$STATE/apt.log" 2>&1 ||
        fail "apt-get update failed" "look into $STATE/apt.log"
    # From Debian 13 on the client is a package of its own.
    if ! command -v docker >/dev/null && [[ -n $(apt-cache madison docker-cli) ]]; then
        packages+=(docker-cli)
    fi
    "${apt[@]}" install --no-install-recommends "${packages[@]}" >>"$STATE/apt.log" 2>&1 ||
        fail "apt-get could not install ${packages[*]}" "look into $STATE/apt.log"
    hash -r
}

start_engine() {
    remove_stale_pid_files
    local pid
    if pid=$(pid_in "$DAEMON_PID_FILE" dockerd); then
        say "dockerd (pid $pid) is there but does not answer yet: waiting for it"
    elif under_systemd; then
        say docker.service >"$STATE/dockerd.unit"
        systemctl start docker.service ||
            fail "systemd could not start docker.service" "journalctl -u docker.service -n 50"
    else
        # A session of its own, so that neither Ctrl-C nor the end of this terminal reaches it.
        setsid dockerd --host "unix://$SOCKET" >"$STATE/dockerd.log" 2>&1 </dev/null 9>&- &
        pid=$!
        say "$pid $(start_ticks "$pid")" >"$STATE/dockerd.pid"
    fi
}

# Fails early when the dockerd that was started here has ended.
await_engine() {
    local deadline=$((SECONDS + START_LIMIT_S)) pid=""
    [[ -f $STATE/dockerd.pid ]] && read -r pid _ <"$STATE/dockerd.pid"
    until engine_version >/dev/null; do
        if [[ -n $pid && ! -d /proc/$pid ]]; then
            tail -n 15 "$STATE/dockerd.log" >&2 || true
            rm -f "$STATE/dockerd.pid"
            fail "dockerd ended right after it was started" "the whole log is $STATE/dockerd.log"
        fi
        if ((SECONDS >= deadline)); then
            fail "no Docker Engine answers on $SOCKET after $START_LIMIT_S s" \
                "look into $STATE/dockerd.log, then: ${BASH_SOURCE[0]} down --state $STATE"
        fi
        sleep "$POLL_S"
    done
}

up() {
    local version begun=$EPOCHREALTIME
    # The common case takes no lock and needs no root.
    if version=$(engine_version); then
        say "docker engine $version answers already"
        return
    fi
    if [[ -S $SOCKET && ! -w $SOCKET ]]; then
        fail "this user may not talk to $SOCKET" \
            "sudo usermod -aG docker $(id -un), then log in again"
    fi
    need_root "starting a Docker Engine"
    exec 9>"$LOCK"
    flock -w $((2 * START_LIMIT_S)) 9 ||
        fail "another docker.sh holds $LOCK" "wait for it, or find it: fuser -v $LOCK"
    if ! engine_version >/dev/null; then
        if ! command -v dockerd >/dev/null; then
            install_engine
            # The package starts its unit itself; whatever runs now runs because of us.
            ! under_systemd || say docker.service >"$STATE/dockerd.unit"
        fi
        # Without a client there is no telling whether an engine answers.
        command -v docker >/dev/null ||
            fail "there is a dockerd, but no docker client" "apt-get install docker-cli"
        engine_version >/dev/null || start_engine
    fi
    await_engine
    exec 9>&-
    say "docker engine $(engine_version) answers after $(seconds_since "$begun") s"
}

seconds_since() { # EPOCHREALTIME
    awk -v a="${1/,/.}" -v b="${EPOCHREALTIME/,/.}" 'BEGIN { printf "%.1f", b - a }'
}

await_end() { # PID NAME LIMIT_S
    local deadline=$((SECONDS + $3))
    while runs "$1" "$2"; do
        ((SECONDS < deadline)) || return 1
        sleep "$POLL_S"
    done
}

stop_daemon() { # PID
    local containerd=""
    # Only a supervised containerd is ours: one that is a system service has another pid file.
    containerd=$(pid_in "$CONTAINERD_PID_FILE" containerd) || true
    kill -TERM "$1"
    await_end "$1" dockerd "$STOP_LIMIT_S" ||
        fail "dockerd (pid $1) has not ended $STOP_LIMIT_S s after SIGTERM" \
            "it waits for containers: docker ps; docker kill them, then run this again"
    if [[ -n $containerd ]] && runs "$containerd" containerd; then
        kill -TERM "$containerd" 2>/dev/null || true
        await_end "$containerd" containerd 20 ||
            fail "containerd (pid $containerd) outlived its dockerd" "kill -KILL $containerd"
    fi
}

down() {
    local begun=$EPOCHREALTIME pid ticks
    if [[ -f $STATE/dockerd.unit ]]; then
        need_root "stopping docker.service"
        # The socket unit would start the daemon again at the next connection.
        systemctl stop docker.socket docker.service ||
            fail "systemd could not stop docker.service" "systemctl status docker.service"
        rm -f "$STATE/dockerd.unit"
    elif [[ -f $STATE/dockerd.pid ]]; then
        need_root "stopping dockerd"
        read -r pid ticks <"$STATE/dockerd.pid"
        if runs "$pid" dockerd && [[ $(start_ticks "$pid") == "$ticks" ]]; then
            stop_daemon "$pid"
            say "dockerd (pid $pid) stopped after $(seconds_since "$begun") s"
        else
            say "the dockerd started here (pid $pid) has ended already"
        fi
        rm -f "$STATE/dockerd.pid"
    else
        say "no dockerd was started with --state $STATE: nothing to stop"
    fi
}

VERB=${1:-}
[[ $VERB == up || $VERB == down ]] || usage
shift
STATE=$(dirname "${BASH_SOURCE[0]}")/../target/docker
while (($#)); do
    case $1 in
        --state) STATE=${2:-}; [[ -n $STATE ]] || usage; shift 2 ;;
        *) usage ;;
    esac
done
mkdir -p "$STATE"
STATE=$(cd "$STATE" && pwd)
"$VERB"
