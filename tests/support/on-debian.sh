#!/usr/bin/env bash
# Run a command on another Debian release: in a system of its own, made by debootstrap, that sees this checkout.
#   on-debian.sh SUITE [COMMAND...]    e.g. on-debian.sh trixie scripts/test -- -L unit; default: scripts/test
# The checkout is read-only there but for build/, which is the system's own. The system is kept in build/SUITE with
# what was installed and built, so that the next run is short; remove the folder to begin anew. Processes and mounts
# end with this program, whatever ends it; the network is this machine's. Needs root.
set -euo pipefail
case ${1:--} in -*) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
suite=$1; shift
[ $# -gt 0 ] || set -- scripts/test
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(id -u)" = 0 ] || { echo "on-debian.sh: needs root, for a system of its own" >&2; exit 1; }
root=$PWD/build/$suite
mkdir -p "$root"
exec 9>"$root.lock"
flock -n 9 || { echo "on-debian.sh: $root is in use" >&2; exit 1; }
if [ ! -e "$root/src" ]; then
    rm -rf --one-file-system "$root"
    mkdir "$root"
    archive=$(tests/support/base-root.sh "$suite")
    tar -C "$root" --numeric-owner -xf "$archive"
    # Packages must not start their daemons here.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mkdir "$root/built" "$root/src" # the last: the system is complete
fi
# Kafka's jars, if this machine has them; else they are fetched there.
jars=${KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-4.3.1}
[ -d "$jars" ] || jars=
mkdir -p "$root/srv/home/.cache/kafka-4.3.1"
# shellcheck disable=SC2016 # expands there
inside='
set -e
root=$1 jars=$2
shift 2
mount --bind "$root" "$root" # what is no mount point has no namespaces of its own
mount --bind . "$root/src"
mount -o remount,bind,ro "$root/src"
mount --bind "$root/built" "$root/src/build"
[ -z "$jars" ] || mount --bind "$jars" "$root/srv/home/.cache/kafka-4.3.1"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv/home \
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    sh -c "cd /src && exec \"\$@\"" sh "$@"'
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child -- bash -c "$inside" bash "$root" "$jars" "$@" <&0 9>&- &
trap 'kill -KILL $! 2>/dev/null || true' EXIT
wait $!
