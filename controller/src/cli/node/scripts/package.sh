# Receives the agent's package and installs it: $size bytes of standard input.
main() {
    set -e
    tell begun 1
    directory=$(mktemp -d "$R/var/tmp/extend-bootstrap.XXXXXX")
    trap 'rm -rf "$directory"' EXIT
    trap 'exit 1' HUP INT TERM PIPE
    chmod 755 "$directory"
    file=$directory/extend-agent_${version}_${architecture}.deb
    receive "$size" "$sha256" "$file"
    what=$(dpkg-deb --show --showformat '${Package} ${Version}' "$file" 2>&1) || true
    [ "$what" = "extend-agent $version" ] ||
        fail "the file is not the package extend-agent $version" "$what"
    install_package "$file"
    tell done 1
}

main
