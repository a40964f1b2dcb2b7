#!/usr/bin/env bash
# `docker compose` of Debian 13 for a Debian 12 machine, whose own docker-compose is version 1.
#   compose-plugin.sh DIR        afterwards DOCKER_CONFIG=DIR docker compose version works
set -euo pipefail
D=$(mkdir -p "${1:?folder}"; cd "$1"; pwd)
[ -e "$D/cli-plugins/docker-compose" ] && exit 0
mkdir -p "$D"/{parts,lists/partial,cache/archives/partial,unpacked,cli-plugins}
# The package sources of this machine, of the next release.
sources=/etc/apt/sources.list.d/debian.sources
[ -e "$sources" ] && sed 's/bookworm/trixie/g' "$sources" >"$D/parts/trixie.sources"
[ -s /etc/apt/sources.list ] && sed 's/bookworm/trixie/g' /etc/apt/sources.list >"$D/parts/trixie.list"
apt13=(-qq -o Dir::Etc::sourcelist=- -o Dir::Etc::sourceparts="$D/parts" -o Dir::State::lists="$D/lists"
    -o Dir::State::status=/dev/null -o Dir::Cache="$D/cache" -o APT::Sandbox::User=root)
apt-get "${apt13[@]}" update
cd "$D/cache"
apt-get "${apt13[@]}" download docker-compose docker-buildx
for deb in "$D"/cache/*.deb; do dpkg-deb -x "$deb" "$D/unpacked"; done
ln -sf "$D"/unpacked/usr/libexec/docker/cli-plugins/* "$D/cli-plugins/"
