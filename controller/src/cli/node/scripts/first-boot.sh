# What an instance does at its first boot, as root: from bare to joined. Run again, it goes on from
# what it finds, and does nothing where it has joined.
tell() { printf 'extend: %s\n' "$2"; }

# Half an hour, in all and at most, for a network, a mirror or a controller that is not there yet.
patience=1800

# Again and again, with pauses that grow. Each try is a shell of its own: it may give up.
patiently() {
    what=$1
    shift
    pause=2
    until ("$@"); do
        [ "$patience" -gt 0 ] || fail "gave up $what; to try again: sh $0"
        tell again "$what did not succeed; again in $pause s"
        sleep "$pause"
        patience=$((patience - pause))
        pause=$((pause * 2))
        [ "$pause" -le 60 ] || pause=60
    done
}

has_address() { ip -4 -o addr show | grep -q " $node/"; }

# The controller is known by its authority, and nobody else's word counts.
fetch() {
    if ! has curl && ! python3 -c 'import ssl' 2>/dev/null; then apt_install curl; fi
    if has curl; then
        curl --silent --show-error --fail --http1.1 --noproxy '*' --connect-timeout 10 --max-time 300 \
            --cacert "$directory/ca.crt" --capath "$directory/none" --interface "$node" \
            --resolve "controller.extend:$port:$controller" --output "$file" \
            "https://controller.extend:$port/agent/extend-agent.deb"
    else
        python3 - "$controller" "$port" "$node" "$directory/ca.crt" "$file" <<'PYTHON'
import socket, ssl, sys
controller, port, node, ca, path = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
with socket.create_connection((controller, int(port)), 10, (node, 0)) as plain:
    with tls.wrap_socket(plain, server_hostname="controller.extend") as stream:
        stream.settimeout(30)
        stream.sendall(b"GET /agent/extend-agent.deb HTTP/1.1\r\nhost: controller.extend\r\n\r\n")
        answer = stream.makefile("rb")
        status = answer.readline().decode().strip()
        while answer.readline().strip():
            pass
        body = answer.read()
if status.split()[1:2] != ["200"]:
    sys.exit(status + ": " + body.decode(errors="replace").strip())
open(path, "wb").write(body)
PYTHON
    fi
}

join() {
    printf '%s\n' "$token" | extend-agent join && return 0
    # A token that is refused is refused for good.
    [ $? != 4 ] || touch "$directory/refused"
    return 1
}

join_unless_refused() {
    [ ! -e "$directory/refused" ] || return 0
    join || [ -e "$directory/refused" ]
}

main() {
    set -e
    umask 022
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    find_state
    if [ "$(authority)" = "$ca" ]; then
        tell joined "$node has joined already"
        exit 0
    fi
    patiently "looking for the address $node" has_address
    directory=$(mktemp -d "$R/var/tmp/extend-first-boot.XXXXXX")
    trap 'rm -rf "$directory"' EXIT
    trap 'exit 1' HUP INT TERM
    chmod 755 "$directory"
    printf '%s\n' "$certificate" >"$directory/ca.crt"
    file=$directory/extend-agent_${version}_${architecture}.deb
    tell fetch "fetching extend-agent $version from $controller"
    patiently 'fetching the package' fetch
    printf '%s  %s\n' "$sha256" "$file" | sha256sum -c --status ||
        fail 'the controller hands out another package by now: make the user data anew, with extend node token --cloud-init'
    if ! has docker && ! has dockerd; then
        tell docker 'installing a Docker Engine'
        patiently 'installing a Docker Engine' install_docker
    fi
    tell install "installing extend-agent $version"
    patiently 'installing extend-agent' install_package "$file"
    tell join "joining $controller"
    patiently 'joining' join_unless_refused
    [ ! -e "$directory/refused" ] || fail 'the token is not good, or no longer: on the controller, extend node token'
    systemctl enable --quiet --now extend-agent.service
    tell joined "$node has joined"
}

main
