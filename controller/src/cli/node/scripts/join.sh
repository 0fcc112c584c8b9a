# Joins with the token that comes by standard input, $size bytes of it. An agent that runs goes on
# under the new identity by itself.
main() {
    set -e
    tell begun 1
    words=$(head -c "$size" | extend-agent join 2>&1) && code=0 || code=$?
    systemctl enable --quiet extend-agent.service </dev/null 2>/dev/null || true
    systemctl start extend-agent.service </dev/null 2>&1 | sed 's/^/extend log /'
    [ "$code" = 0 ] || fail 'extend-agent join did not succeed' "$words"
    tell done 1
}

main
