#!/usr/bin/env bash
#
# standin-image.sh: makes an image with the stand-ins for PortSIP's server binaries.
#
#   scripts/standin-image.sh [OPTION...] VERSION [REFERENCE]
#
# REFERENCE (default: portsip/pbx:22) is the tag the image gets; VERSION its `version` label and
# the content of its /etc/pbx-version. The same VERSION gives the same image id, on any machine
# that builds the same binary.
#
#   --no-version-label   leave the label away, to be refused
#   --product NAME       the `product` label, instead of PBX
#   --archive FILE       write FILE for `docker load` elsewhere, and load nothing here
#   --print-id           print nothing but the image id on standard output
#
# Needs no root: access to Docker's socket is enough, and --archive not even wants that.
# Exit codes: 0 done, 1 failed, 2 usage.

set -euo pipefail

readonly DEFAULT_REFERENCE=portsip/pbx:22
readonly PROGRAMS=(entrypoint mediaserver callqueue conf vr)
# The uid and gid of portsip in the official image.
readonly PORTSIP=888
# Nothing in the image may depend on when it was made, or the id would.
readonly EPOCH=2026-01-01T00:00:00Z

fail() { # SENTENCE HINT
    printf 'standin-image.sh: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

usage() {
    sed -n '3,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# One static binary, since the image has no C library; the ordinary target directory, so that it
# is compiled once.
build() { # prints the path of the binary
    local triple
    triple=$(rustc -vV | sed -n 's/^host: //p')
    (
        cd "$ROOT"
        # A target named aloud keeps the flags away from everything else that was built here.
        RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$TARGET_DIR \
            cargo build --quiet --release --target "$triple" -p pbx-standin >&2
    ) || fail "the stand-in does not build" "cargo build -p pbx-standin"
    printf '%s' "$TARGET_DIR/$triple/release/pbx-standin"
}

# The name Docker gives to this machine's architecture.
architecture() {
    case $(uname -m) in
        x86_64) printf amd64 ;;
        aarch64) printf arm64 ;;
        *) uname -m ;;
    esac
}

lay_out() { # BINARY ROOTFS
    local rootfs=$2 program first=${PROGRAMS[0]}
    mkdir -p "$rootfs"/{etc,tmp,usr/local/bin,usr/local/lib,var/lib/portsip/pbx}
    cat >"$rootfs/etc/passwd" <<PASSWD
root:x:0:0:root:/root:/usr/sbin/nologin
portsip:x:$PORTSIP:$PORTSIP:PortSIP:/var/lib/portsip:/usr/sbin/nologin
PASSWD
    printf 'root:x:0:\nportsip:x:%s:\n' "$PORTSIP" >"$rootfs/etc/group"
    printf '%s\n' "$VERSION" >"$rootfs/etc/pbx-version"
    # A place to mount the host's upon.
    : >"$rootfs/etc/localtime"
    install -m 755 "$1" "$rootfs/usr/local/bin/$first"
    for program in "${PROGRAMS[@]:1}"; do
        ln "$rootfs/usr/local/bin/$first" "$rootfs/usr/local/bin/$program"
    done
    chmod -R u=rwX,go=rX "$rootfs"
    chmod 1777 "$rootfs/tmp"
}

# One layer, with the owners the image wants whoever makes it.
pack_layer() { # ROOTFS FILE
    local same=(--sort=name --mtime="$EPOCH" --numeric-owner --format=gnu -C "$1")
    tar -c -f "$2" "${same[@]}" --owner=0 --group=0 --exclude=./var/lib/portsip/pbx .
    tar -r -f "$2" "${same[@]}" --owner="$PORTSIP" --group="$PORTSIP" ./var/lib/portsip/pbx
}

sha256() { sha256sum "$1" | cut -d' ' -f1; }

# What `docker save` would write. A build would need the right builder for the client at hand and
# put its own time into the image; loading works with any client, and the id is the hash of what
# stands here.
pack_image() { # LAYER DIR: prints the image id
    local labels id
    labels="\"product\":\"$PRODUCT\""
    [[ -z $LABEL_VERSION ]] || labels+=",\"version\":\"$VERSION\""
    cat >"$2/config.json" <<CONFIG
{
  "architecture": "$(architecture)",
  "os": "linux",
  "created": "$EPOCH",
  "config": {
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
    "Entrypoint": ["/usr/local/bin/entrypoint"],
    "Labels": {$labels}
  },
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256 "$1")"]},
  "history": [{"created": "$EPOCH", "created_by": "scripts/standin-image.sh $VERSION"}]
}
CONFIG
    id=$(sha256 "$2/config.json")
    mv "$2/config.json" "$2/$id.json"
    cat >"$2/manifest.json" <<MANIFEST
[{"Config": "$id.json", "RepoTags": ["$REFERENCE"], "Layers": ["layer.tar"]}]
MANIFEST
    tar -c -f "$2/image.tar" --mtime="$EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
        -C "$2" manifest.json "$id.json" layer.tar
    printf 'sha256:%s' "$id"
}

main() {
    local binary work id
    binary=$(build)
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the directory of now is meant
    trap "rm -rf '$work'" EXIT
    mkdir "$work/rootfs" "$work/image"
    lay_out "$binary" "$work/rootfs"
    pack_layer "$work/rootfs" "$work/image/layer.tar"
    id=$(pack_image "$work/image/layer.tar" "$work/image")
    if [[ -n $ARCHIVE ]]; then
        mv "$work/image/image.tar" "$ARCHIVE"
    else
        docker load --quiet --input "$work/image/image.tar" >"$work/load.log" 2>&1 ||
            fail "docker could not load the image: $(tail -n 1 "$work/load.log")" \
                "scripts/docker.sh up"
        # An engine may count in its own way what its store keeps.
        id=$(docker image inspect --format '{{.Id}}' "$REFERENCE")
    fi
    if [[ -n $PRINT_ID ]]; then
        printf '%s\n' "$id"
    else
        printf '%s, version %s: %s\n' "$REFERENCE" "$VERSION" "${ARCHIVE:-$id}"
    fi
}

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
PRODUCT=PBX LABEL_VERSION=yes ARCHIVE="" PRINT_ID="" OPERANDS=()
while (($#)); do
    case $1 in
        --no-version-label) LABEL_VERSION="" ;;
        --product) PRODUCT=${2:-}; shift $(($# > 1)) ;;
        --archive) ARCHIVE=${2:-}; [[ -n $ARCHIVE ]] || usage; shift ;;
        --print-id) PRINT_ID=yes ;;
        -*) usage ;;
        *) OPERANDS+=("$1") ;;
    esac
    shift
done
((${#OPERANDS[@]} == 1 || ${#OPERANDS[@]} == 2)) || usage
VERSION=${OPERANDS[0]}
REFERENCE=${OPERANDS[1]:-$DEFAULT_REFERENCE}
# They go into JSON and paths as they are; Docker checks the reference itself.
[[ $VERSION =~ ^[0-9A-Za-z][0-9A-Za-z._-]*$ && $PRODUCT =~ ^[0-9A-Za-z._-]+$ ]] || usage
[[ $REFERENCE =~ ^[0-9A-Za-z][0-9A-Za-z./:_-]*:[0-9A-Za-z._-]+$ ]] || usage
main
