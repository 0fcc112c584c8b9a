# Installs a Docker Engine from the distribution. Called only where there is none.
main() {
    set -e
    tell begun 1
    install_docker
    tell done 1
}

main
