# shellcheck shell=bash
#
# Taking the lab away, and looking whether anything is left. Sourced by scripts/lab.sh.

containers() { docker ps -aq --no-trunc --filter "label=$LABEL"; }

volumes() { docker volume ls -q --filter "label=$LABEL"; }

# A pid alone does not name a process: it may be somebody else's by now.
start_ticks() { # PID
    awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null
}

descendants() { # PID: it and all below it, as PID TICKS
    local child ticks
    ticks=$(start_ticks "$1") || return 0
    printf '%s %s\n' "$1" "$ticks"
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do descendants "$child"; done
}

processes() { # of all nodes and of the containers in them
    local top
    containers | xargs -r docker inspect --format '{{.State.Pid}}' | while read -r top; do
        [[ $top == 0 ]] || descendants "$top"
    done
}

take_down() {
    local state=$STATE ids before
    if ! docker version >/dev/null 2>&1; then
        if [[ ! -d $STATE ]]; then
            printf 'there is no lab: no Docker Engine answers and %s is not there\n' "$STATE"
            return
        fi
        # Its nodes lie on the disk, whoever has ended the Engine.
        scripts/docker.sh up --state "$STATE/docker"
    fi
    if is_up; then
        state=$(network_label state)
        if [[ $FOR == tests && $(network_label for) != tests ]]; then
            fail "the lab is not the tests': it is left as it is" "make lab-down"
        fi
    fi
    ids=$(containers)
    before=$(processes)
    [[ -z $ids ]] || xargs docker rm --force --volumes >/dev/null <<<"$ids"
    volumes | xargs -r docker volume rm >/dev/null
    ! is_up || docker network rm "$NETWORK" >/dev/null
    [[ -z $ALL ]] || scripts/lab/image.sh remove >/dev/null
    check_nothing_is_left "$state" "$before" "$ids"
    scripts/docker.sh down --state "$state/docker"
    rm -rf "$state"
}

check_nothing_is_left() { # STATE PROCESSES CONTAINER_IDS
    local left
    left=$(left_over "$@")
    [[ -z $left ]] || fail "this is left of the lab:"$'\n'"$left" \
        "docker ps -a; docker network ls; docker volume ls; then make lab-down again"
    printf 'nothing is left of the lab: no container, network, volume, mount, cgroup or process\n'
}

left_over() { # STATE PROCESSES CONTAINER_IDS
    local pid ticks id
    docker ps -a --filter "label=$LABEL" --format 'container {{.Names}}'
    docker ps -a --filter 'name=^ip-172-31-16-' --format 'container {{.Names}}'
    docker network ls --filter "label=$LABEL" --format 'network {{.Name}}'
    docker volume ls --filter "label=$LABEL" --format 'volume {{.Name}}'
    [[ -z $ALL ]] || docker image ls --format 'image {{.Repository}}:{{.Tag}}' extend-lab/node
    while read -r id; do
        ! is_of_the_lab "$id" || printf 'route %s\n' "$id"
    done < <(routes)
    while read -r pid ticks; do
        [[ -z $pid || $(start_ticks "$pid") != "$ticks" ]] \
            || printf 'process %s (%s)\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
    done <<<"$2"
    while read -r id; do
        [[ -n $id ]] || continue
        awk -v id="$id" 'index($0, id) { print "mount", $2 }' /proc/mounts
        find /sys/fs/cgroup -type d -name "$id" -printf 'cgroup %p\n'
    done <<<"$3"
    awk -v below="$1/" 'index($2, below) == 1 { print "mount", $2 }' /proc/mounts
}
