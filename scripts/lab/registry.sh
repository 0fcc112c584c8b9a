# shellcheck shell=bash
#
# The lab's image registry, with TLS and a password, and the stand-in images in it. Sourced by
# scripts/lab.sh.

# Made on a node, which has the programs for it: a key by which the primary logs in on the nodes,
# the registry's certificate, its one user.
make_secrets() {
    docker run --rm --network none --volume "$(cd "$STATE" && pwd):/made" "$IMAGE-bare" \
        sh -euc '
            umask 077
            cd /made
            ssh-keygen -q -t ed25519 -N "" -C "the primary" -f id_ed25519
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
                -subj "/CN=the registry of the lab" -addext "subjectAltName=IP:${1%:*}" \
                -keyout registry.key -out registry.crt 2>/dev/null
            openssl rand -hex 16 >password
            # The registry takes bcrypt only; libcrypt knows it.
            salt=$(openssl rand -hex 11 | cut -c 1-21).
            perl -e "chomp(\$p = <STDIN>); print qq(extend:), crypt(\$p, shift), qq(\n)" \
                "\$2b\$05\$$salt" <password >htpasswd
            auth=$(printf "extend:%s" "$(cat password)" | base64 -w 0)
            printf "{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}\n" "$1" "$auth" >registry.json
            rm password
        ' sh "$REGISTRY" || fail "the keys could not be made" "docker run --rm $IMAGE-bare true"
}

furnish_registry() {
    local file
    logged "the registry could not be installed" \
        on 132 apt-get -q -y --no-install-recommends install docker-registry skopeo
    for file in registry.key registry.crt htpasswd registry.json; do
        on 132 sh -c "umask 027; cat >/etc/docker/registry/$file
            chgrp docker-registry /etc/docker/registry/$file" <"$STATE/$file"
    done
    on 132 sh -c 'cat >/etc/docker/registry/config.yml; systemctl restart docker-registry' <<'YAML'
version: 0.1
storage:
  filesystem: { rootdirectory: /var/lib/docker-registry }
  delete: { enabled: true }
http:
  addr: :5000
  tls: { certificate: /etc/docker/registry/registry.crt, key: /etc/docker/registry/registry.key }
auth:
  htpasswd: { realm: lab, path: /etc/docker/registry/htpasswd }
YAML
}

release() { # VERSION [TAG]
    local archive=$STATE/release.tar tag=${2:-22}
    logged "the stand-in image could not be made" \
        scripts/standin-image.sh --archive "$archive" "$1" "$REPOSITORY:$tag"
    on 132 sh -c 'cat >/tmp/release.tar' <"$archive"
    rm -f "$archive"
    logged "the registry did not take version $1" \
        on 132 skopeo copy --quiet --authfile /etc/docker/registry/registry.json \
        --dest-cert-dir "/etc/docker/certs.d/$REGISTRY" \
        docker-archive:/tmp/release.tar "docker://$REPOSITORY:$tag"
    on 132 rm -f /tmp/release.tar
    printf '%s:%s is version %s of the stand-in\n' "$REPOSITORY" "$tag" "$1"
}
