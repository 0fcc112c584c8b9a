#!/usr/bin/env bash
#
# deb.sh: makes the Debian packages extend and extend-agent in target/deb.
#
#   scripts/deb.sh
#
#   PROFILE=release      the cargo profile; `quick` builds sooner
#   VERSION_SUFFIX=+x1   packs the same programs under a later version
#   DEBFULLNAME, DEBEMAIL  who makes them
#   SOURCE_DATE_EPOCH=N  the time of everything in them; otherwise the last commit's
#
# The same sources in the same place give the same packages, byte for byte. Prints their paths.
# Exit codes: 0 done, 1 failed.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROFILE=${PROFILE:-release}
readonly VERSION_SUFFIX=${VERSION_SUFFIX-}
readonly TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
readonly OUT=$TARGET_DIR/deb
# What is on in the packages only.
readonly CONTROLLER_FEATURES=(--features extend-controller/aws)
readonly MAINTAINER="${DEBFULLNAME:-Extend developers} <${DEBEMAIL:-extend@localhost}>"
# What the controller needs where dpkg-shlibdeps is not there to find out.
readonly USUAL_LIBRARIES='libc6 (>= 2.34), libgcc-s1 (>= 4.2)'
# Directories and files as Debian has them, whoever packs.
umask 022

fail() { # SENTENCE HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

command -v dpkg-deb >/dev/null || fail 'there is no dpkg-deb' 'apt-get install dpkg'

VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)$VERSION_SUFFIX
ARCHITECTURE=$(dpkg --print-architecture)
TRIPLE=$(rustc -vV | sed -n 's/^host: //p')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
readonly VERSION ARCHITECTURE TRIPLE
export SOURCE_DATE_EPOCH

case $PROFILE in
    release) out_dir=release squeeze=6 ;;
    # For trying things: soon rather than small.
    dev) out_dir=debug squeeze=1 ;;
    *) out_dir=$PROFILE squeeze=1 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The agent runs on any Linux: static, and so with its own C library. The controller does not: it
# looks up the names of operators, which come from wherever the host has its users.
build() {
    cargo build --profile "$PROFILE" -p extend-controller "${CONTROLLER_FEATURES[@]}" >&2
    # A target named aloud keeps the flags away from everything else that was built here.
    RUSTFLAGS="-C target-feature=+crt-static" \
        cargo build --profile "$PROFILE" --target "$TRIPLE" -p extend-agent >&2
    extend=$TARGET_DIR/$out_dir/extend
    agent=$TARGET_DIR/$TRIPLE/$out_dir/extend-agent
}

program() { # FROM ROOT
    install -D -m 0755 -t "$2/usr/bin" "$1"
    strip --strip-unneeded "$2/usr/bin/$(basename "$1")"
}

manual() { # PROGRAM ROOT
    local directory=$2/usr/share/man/man1
    mkdir -p "$directory"
    "$1" man "$directory"
    find "$directory" -type f -exec gzip -9n {} +
}

# CHANGELOG.md as Debian writes one: the release of now with what is not released yet.
changelog() { # PACKAGE
    local date
    date=$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
    awk -v package="$1" -v version="$VERSION" -v plain="${VERSION%"$VERSION_SUFFIX"}" -v date="$date" \
        -v maintainer="$MAINTAINER" '
        function close_entry() {
            if (open) printf "\n -- %s  %s\n\n", maintainer, date
        }
        function open_entry(name) {
            close_entry()
            printf "%s (%s) unstable; urgency=medium\n\n", package, name
            open = 1
        }
        function wrap(text,    words, count, i, line) {
            count = split(text, words, " ")
            line = "  *"
            for (i = 1; i <= count; i++) {
                if (length(line) + 1 + length(words[i]) > 78) { print line; line = "   " }
                line = line " " words[i]
            }
            print line
        }
        /^## Unreleased/ { open_entry(version); next }
        /^## / { if (!($2 == plain && open)) open_entry($2); next }
        open && /^- / { wrap(substr($0, 3)) }
        END { close_entry() }
    ' CHANGELOG.md
}

# The licence of what is ours, and of every library that is linked in.
copyright() { # CRATE [FEATURE…]
    local licence libraries crate=$1
    shift
    libraries=$(cargo tree --locked --prefix none --edges normal --format ' {p}: {l}' -p "$crate" "$@" |
        sed -e 's/ ([^)]*)//' -e '/^ extend-/d' | LC_ALL=C sort -u)
    licence=$(sed '1,/^Copyright/d' LICENSE-MIT | sed '/./,$!d; s/^/ /; s/^ $/ ./')
    awk -v holder="$(sed -n 's/^Copyright (c) //p' LICENSE-MIT)" -v expat="$licence" \
        -v libraries="$libraries" '
        /@LIBRARIES@/ { print libraries; next }
        { sub(/@HOLDER@/, holder) }
        /@EXPAT@/ { print "License: Expat\n" expat; next }
        { print }
    ' packaging/deb/copyright
}

documents() { # ROOT PACKAGE CRATE [FEATURE…]
    local directory=$1/usr/share/doc/$2
    mkdir -p "$directory"
    changelog "$2" | gzip -9n >"$directory/changelog.gz"
    copyright "${@:3}" >"$directory/copyright"
}

units() { # PATTERN ROOT
    mkdir -p "$2/lib/systemd/system"
    find packaging/systemd -type f -name "$1" \
        -exec install -m 0644 -t "$2/lib/systemd/system" {} +
}

overrides() { # PACKAGE ROOT
    local from=packaging/deb/$1/lintian-overrides
    [ ! -e "$from" ] || install -D -m 0644 "$from" "$2/usr/share/lintian/overrides/$1"
}

# What dpkg wants to know, and the package itself.
pack() { # PACKAGE DEPENDS ROOT
    local package=$1 root=$3 from=packaging/deb/$1 size
    mkdir -p "$root/DEBIAN"
    size=$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f 1)
    sed -e "s/@VERSION@/$VERSION/" -e "s/@ARCHITECTURE@/$ARCHITECTURE/" -e "s/@SIZE@/$size/" \
        -e "s/@MAINTAINER@/$MAINTAINER/" -e "s/@DEPENDS@, /$2/" "$from/control" >"$root/DEBIAN/control"
    (cd "$root" && find etc -type f | LC_ALL=C sort | sed 's,^,/,') >"$root/DEBIAN/conffiles"
    local script
    for script in preinst postinst prerm postrm; do
        [ ! -e "$from/$script" ] || install -m 0755 "$from/$script" "$root/DEBIAN/$script"
    done
    (cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z |
        xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz "-z$squeeze" --build "$root" "$OUT/${package}_${VERSION}_$ARCHITECTURE.deb" >&2
    printf '%s\n' "$OUT/${package}_${VERSION}_$ARCHITECTURE.deb"
}

libraries() { # ROOT: the packages of the libraries that its programs want
    if ! command -v dpkg-shlibdeps >/dev/null; then
        printf '%s' "$USUAL_LIBRARIES"
        return
    fi
    mkdir -p "$work/shlibs/debian"
    printf 'Source: extend\n\nPackage: extend\nArchitecture: any\n' >"$work/shlibs/debian/control"
    (cd "$work/shlibs" && dpkg-shlibdeps -O "$1"/usr/bin/* 2>/dev/null) | sed 's/^shlibs:Depends=//'
}

make_agent() {
    local root=$work/extend-agent
    program "$agent" "$root"
    manual "$agent" "$root"
    units 'extend-agent*' "$root"
    install -D -m 0644 -t "$root/etc/extend" packaging/agent.toml
    install -d "$root/etc/extend/roles.d"
    install -D -m 0644 -t "$root/usr/share/extend-agent/roles" common/src/roles/builtin/*.toml
    documents "$root" extend-agent extend-agent
    overrides extend-agent "$root"
    pack extend-agent '' "$root"
}

make_extend() { # AGENT_PACKAGE
    local root=$work/extend share
    share=$root/usr/share
    program "$extend" "$root"
    manual "$extend" "$root"
    mkdir -p "$share/bash-completion/completions" "$share/zsh/vendor-completions" \
        "$share/fish/vendor_completions.d"
    "$extend" completion bash >"$share/bash-completion/completions/extend"
    "$extend" completion zsh >"$share/zsh/vendor-completions/_extend"
    "$extend" completion fish >"$share/fish/vendor_completions.d/extend.fish"
    units 'extend-controller*' "$root"
    units 'extend-shim*' "$root"
    install -D -m 0644 -t "$root/etc/extend" packaging/controller.toml
    install -d "$root/etc/extend/roles.d"
    install -D -m 0755 -t "$share/extend" packaging/extend.sh
    install -D -m 0644 -t "$share/extend/agent" "$1"
    install -D -m 0644 -t "$share/extend/roles" common/src/roles/builtin/*.toml
    install -D -m 0644 -t "$share/extend/prometheus" packaging/prometheus/*.yml
    install -D -m 0644 -t "$share/extend/grafana" packaging/grafana/extend.json
    documents "$root" extend extend-controller "${CONTROLLER_FEATURES[@]}"
    overrides extend "$root"
    pack extend "$(libraries "$root"), " "$root"
}

build
mkdir -p "$OUT"
agent_package=$(make_agent)
printf '%s\n' "$agent_package"
make_extend "$agent_package"
