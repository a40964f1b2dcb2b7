#!/usr/bin/env bash
# The smallest system of a Debian or Ubuntu release as a tar archive, made by debootstrap.
#   base-root.sh SUITE     e.g. bookworm, trixie; prints the archive's path
# With this machine's additional CA certificates. Kept in MODELBUS_ROOTS (default build/roots) for a week, so that the
# tests of one run share it. Needs root, or sudo without a password.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
suite=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p "${MODELBUS_ROOTS:-build/roots}"
cd "${MODELBUS_ROOTS:-build/roots}"
exec 9>"$suite.lock"
flock 9
if [ -n "$(find . -name "$suite.tar" -mtime -7)" ]; then
    echo "$PWD/$suite.tar"
    exit
fi
PATH=$PATH:/usr/sbin
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo -n)
components=main
[ "$(. /etc/os-release && echo "$ID")" != ubuntu ] || components=main,universe
root=$(mktemp -d)
# shellcheck disable=SC2317 # called by the trap
cleanup() {
    "${sudo[@]}" rm -rf --one-file-system "$root"
    rm -f "$suite.tar.new" "$suite.log"
}
trap cleanup EXIT
"${sudo[@]}" debootstrap --variant=minbase --components="$components" "$suite" "$root" >"$suite.log" 9>&- ||
    { tail -n 20 "$suite.log" >&2; exit 1; }
"${sudo[@]}" chmod 755 "$root"
"${sudo[@]}" find "$root/var/cache/apt/archives" "$root/var/lib/apt/lists" -type f -delete
# What dpkg unpacks here need not survive a power cut.
echo force-unsafe-io | "${sudo[@]}" tee "$root/etc/dpkg/dpkg.cfg.d/unsafe-io" >/dev/null
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    "${sudo[@]}" install -D -m 644 -t "$root/usr/local/share/ca-certificates" /usr/local/share/ca-certificates/*.crt
fi
"${sudo[@]}" tar -C "$root" --numeric-owner -c . >"$suite.tar.new"
mv "$suite.tar.new" "$suite.tar"
echo "$PWD/$suite.tar"
