#!/usr/bin/env bash
# Measures the figures of docs/benchmarks.md on this machine: builds, starts a Docker Engine if none
# answers, measures, prints a table, and takes everything away again that it has started or made.
#   scripts/bench.sh                    everything (about a quarter of an hour after the build)
#   ONLY=fan-out,status scripts/bench.sh  only these parts: sizes idle status restart hang silence
#                                       upgrade fan-out memory revival
#   WRITE=1 scripts/bench.sh            also puts the table into docs/benchmarks.md
#   BRIEF=1 scripts/bench.sh            few repeats and short waits: to try it out, not to quote
# EXTEND_BENCH_PROFILE names another Cargo profile than release, likewise not to quote.
# Results: target/bench/results.json and target/bench/figures.md.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly REPOSITORY=extend.bench/pbx
readonly NODES='^127\.0\.3\.1(37|38|39|40)$'
readonly VERSIONS=(22.3.0 22.3.1 22.3.2 22.3.3 22.3.4 22.3.5)
readonly DOCUMENT=docs/benchmarks.md
ONLY=${ONLY:-}
BRIEF=${BRIEF:-}
WRITE=${WRITE:-}
profile=${EXTEND_BENCH_PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
out=$target/bench
dir=

fail() { # SENTENCE HINT
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

say() { printf '\n# %s\n' "$*" >&2; }

# What was started notes its process id in a file that it removes when it has ended it itself.
end_processes() {
    local file pid tries
    while IFS= read -r file; do
        pid=$(cat "$file")
        kill -CONT "$pid" 2>/dev/null || continue
        kill "$pid" 2>/dev/null || continue
        for tries in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            read -rt 0.1 <> <(:) || true
        done
        kill -9 "$pid" 2>/dev/null || true
    done < <(find "$dir" -name '*.pid' -not -path "$dir/docker/*")
}

end_containers() {
    local containers version
    # Containers are this run's only if it found none before.
    if [ -f "$dir/owns-containers" ]; then
        containers=$(docker ps -aq --filter 'label=io.extend.node' --filter 'name=^portsip\.' \
            | xargs -r docker inspect --format '{{.Id}} {{index .Config.Labels "io.extend.node"}}' \
            | awk -v nodes="$NODES" '$2 ~ nodes {print $1}')
        [ -z "$containers" ] || xargs docker rm -f >/dev/null <<<"$containers"
    fi
    for version in "${VERSIONS[@]}"; do
        docker image rm "$REPOSITORY:$version" >/dev/null 2>&1 || true
    done
}

finish() {
    local code=$?
    trap - EXIT
    [ -n "$dir" ] || exit "$code"
    end_processes
    if [ -d "$dir/docker" ]; then
        end_containers || true
        scripts/docker.sh down --state "$dir/docker" >&2 || true
    fi
    if [ "$code" != 0 ]; then
        printf '\nthe last lines of the logs:\n' >&2
        tail -n 8 "$dir"/*/*.log >&2 2>/dev/null || true
    fi
    rm -rf "$dir"
    exit "$code"
}

wants() { # PART...
    local part
    [ -n "$ONLY" ] || return 0
    for part in "$@"; do
        [[ ,$ONLY, != *,$part,* ]] || return 0
    done
    return 1
}

[ "$(id -u)" = 0 ] || fail 'the measurement needs root, for Docker and for the services'"'"' directories' \
    'sudo make bench'
command -v cargo >/dev/null || fail 'there is no Rust toolchain in PATH' \
    'a root shell with cargo in PATH (sudo drops ~/.cargo/bin)'

# A directory with a short path: those of sockets have a bound.
dir=$(mktemp -d "${TMPDIR:-/tmp}/extend-bench.XXXXXX")
trap finish EXIT
trap 'exit 130' INT TERM

say "building (profile $profile)"
# Apart from each other: what the one needs of a library must not end up in the other.
cargo build --quiet --profile "$profile" -p extend-controller -p extend-agent
cargo build --quiet --profile "$profile" -p extend-bench
built=$profile
[ "$profile" != dev ] || built=debug
options=(--bin "$target/$built" --repository "$REPOSITORY" --dir "$dir" --out "$out"
    --profile "$profile")
if wants sizes idle; then
    triple=$(rustc -vV | sed -n 's/^host: //p')
    # A target named aloud keeps the flags away from everything else that was built here.
    RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --quiet --profile "$profile" --target "$triple" -p extend-agent
    options+=(--static-agent "$target/$triple/$built/extend-agent")
fi
[ -z "$ONLY" ] || options+=(--only "$ONLY")
[ -z "$BRIEF" ] || options+=(--brief)

if wants idle status restart hang silence upgrade; then
    say 'the Docker Engine and the images'
    scripts/docker.sh up --state "$dir/docker" >&2
    for version in "${VERSIONS[@]}"; do
        scripts/standin-image.sh "$version" "$REPOSITORY:$version" >&2
    done
fi

say 'measuring'
"$target/$built/extend-bench" measure "${options[@]}"

if [ -n "$WRITE" ]; then
    [ -z "$ONLY$BRIEF" ] && [ "$profile" = release ] \
        || fail 'only a whole run of the release goes into the document' 'WRITE=1 make bench'
    awk -v table="$out/figures.md" '
        /^<!-- figures -->$/ { print; print ""; while ((getline line < table) > 0) print line; skip = 1 }
        /^<!-- end of figures -->$/ { print ""; skip = 0 }
        !skip && !/^<!-- figures -->$/ { print }
    ' "$DOCUMENT" >"$dir/document.md"
    cp "$dir/document.md" "$DOCUMENT"
    say "$DOCUMENT has the figures"
fi
