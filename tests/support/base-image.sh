#!/usr/bin/env bash
# A Debian base image without a container registry.
#   base-image.sh bookworm|trixie [docker options, e.g. -H unix://DIR/sock]
# Makes debian:<suite>-slim from the distribution's packages, with this machine's additional CA certificates.
set -euo pipefail
suite=${1:?suite}; shift
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase "$suite" "$root" >"$root.log" || { tail -n 20 "$root.log" >&2; exit 1; }
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    install -d "$root/usr/local/share/ca-certificates"
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
fi
tar -C "$root" -c . | docker "$@" import --change 'CMD ["bash"]' - "debian:$suite-slim" >/dev/null
