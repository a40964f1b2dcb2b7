#!/usr/bin/env bash
# A Debian base image without a container registry: debian:<suite>-slim of base-root.sh.
#   base-image.sh bookworm|trixie [docker options, e.g. -H unix://DIR/sock]
set -euo pipefail
suite=${1:?suite}; shift
root=$("$(dirname "${BASH_SOURCE[0]}")/base-root.sh" "$suite")
docker "$@" import --change 'CMD ["bash"]' "$root" "debian:$suite-slim" >/dev/null
