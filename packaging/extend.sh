#!/bin/bash
# This is Extend's extend.sh, not PortSIP's.
#
# Keeps every command line of PortSIP's guide working, typed or pasted:
#
#     /bin/bash extend.sh run -s media-server-only -n media-server-1 -a 172.31.16.139
#
# It hands its arguments, as they are, to `extend`: the one that EXTEND_BIN names, else the one
# beside this file, else the one in PATH. One command is not ours: `run -s disk-only` grows the
# PBX's own disk and goes to the vendor's script, kept beside this file as extend.sh.portsip.

set -u

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")

# Whether the arguments are `run … -s disk-only …`, in any way that -s can be written.
is_disk_only() {
    [ "${1-}" = run ] || return 1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            -s | --type)
                [ "${2-}" = disk-only ] && return 0
                shift
                ;;
            -sdisk-only | -s=disk-only | --type=disk-only) return 0 ;;
            # The value of another option is no server type, whatever it looks like.
            -n | -a | -A | -i | -m | -o | --name | --address | --elastic | --image | --message | \
                --output | --timeout | --watch-timeout | --socket | --patience)
                shift
                ;;
        esac
        [ $# -gt 0 ] && shift
    done
    return 1
}

if is_disk_only "$@"; then
    if [ -f "$here/extend.sh.portsip" ]; then
        exec /bin/bash "$here/extend.sh.portsip" "$@"
    fi
    {
        echo "error: cannot run disk-only: it grows the PBX's own disk, which is PortSIP's script's to do"
        echo "  cause: there is no $here/extend.sh.portsip"
        echo "hint: keep PortSIP's extend.sh as $here/extend.sh.portsip and run this again"
    } >&2
    exit 4
fi

if [ -n "${EXTEND_BIN-}" ]; then
    extend=$EXTEND_BIN
elif [ -x "$here/extend" ] && [ ! -d "$here/extend" ]; then
    extend=$here/extend
else
    extend=$(type -P extend)
fi

if [ -z "$extend" ] || [ ! -x "$extend" ] || [ -d "$extend" ]; then
    {
        echo "error: cannot find the program extend${EXTEND_BIN:+ (EXTEND_BIN is $EXTEND_BIN)}"
        echo "  cause: it is neither beside $here/extend.sh nor in PATH"
        echo "hint: install the package extend on this node"
    } >&2
    exit 1
fi

[ $# -gt 0 ] || set -- --help
exec "$extend" "$@"
