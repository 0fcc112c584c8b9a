#!/usr/bin/env bash
# Runs a command that wants EC2 where there is none: beside moto's server (PyPI), in an environment
# of Python's that is made once.
#
#   scripts/moto.sh COMMAND…   runs COMMAND with EXTEND_MOTO, the program of the server
#
#   EXTEND_MOTO=PROGRAM   takes that one instead of making an environment
#
# Tests start it themselves, on 127.0.0.1. Exit codes: COMMAND's; 1 when there is no server.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VERSION=5.2.5
readonly PLACE=${CARGO_TARGET_DIR:-$PWD/target}/moto-$VERSION

fail() { # SENTENCE HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

make_environment() {
    local aside=$PLACE.$$
    printf 'making an environment for moto %s in %s\n' "$VERSION" "$PLACE" >&2
    python3 -m venv "$aside" ||
        fail 'no environment of Python could be made' 'apt-get install python3-venv'
    "$aside/bin/pip" install --quiet --disable-pip-version-check "moto[ec2,server]==$VERSION" ||
        fail "moto $VERSION could not be fetched" 'see whether PyPI can be reached, and its settings in pip config'
    # Its programs name the place where they were made: it is made aside and made whole there.
    sed -i "1s,$aside,$PLACE," "$aside"/bin/moto_server
    mv -T "$aside" "$PLACE" 2>/dev/null || rm -rf "$aside"
}

[ $# -gt 0 ] || fail 'there is no command to run' 'scripts/moto.sh cargo nextest run …'
if [ -z "${EXTEND_MOTO:-}" ]; then
    [ -x "$PLACE/bin/moto_server" ] || make_environment
    EXTEND_MOTO=$PLACE/bin/moto_server
fi
export EXTEND_MOTO
# Credentials that are good for nothing else, and nothing is asked of a machine's own.
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_REGION AWS_DEFAULT_REGION
exec "$@"
