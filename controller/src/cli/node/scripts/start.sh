# Starts the agent, or starts it anew. No service of it is touched by that.
main() {
    set -e
    tell begun 1
    systemctl reset-failed extend-agent.service </dev/null 2>/dev/null || true
    systemctl enable --quiet extend-agent.service </dev/null 2>/dev/null || true
    words=$(systemctl restart extend-agent.service </dev/null 2>&1) ||
        fail 'systemctl restart extend-agent did not succeed' "$words"
    tell done 1
}

main
