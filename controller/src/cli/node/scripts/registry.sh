# Puts the registry's credentials where the agent reads them: $size bytes of standard input.
main() {
    set -e
    tell begun 1
    id extend-agent >/dev/null 2>&1 || fail 'the user extend-agent is missing'
    mkdir -p "$R/etc/extend"
    # mktemp gives it to nobody else, from the start.
    file=$(mktemp "$R/etc/extend/.registry.json.XXXXXX")
    trap 'rm -f "$file"' EXIT
    trap 'exit 1' HUP INT TERM PIPE
    receive "$size" "$sha256" "$file"
    chown extend-agent: "$file"
    sync "$file" 2>/dev/null || true
    mv -f "$file" "$R/etc/extend/registry.json"
    tell done 1
}

main
