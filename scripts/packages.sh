# shellcheck shell=bash disable=SC2034 # the arrays are used by name
# What modelbus needs from the distribution (Debian 12, 13, Ubuntu LTS). Sourced by the
# other scripts: `need build run` installs what is missing of these sets. docs/dependencies.md
# says why each is there.

PACKAGES_build=(build-essential cmake ninja-build pkg-config
    librdkafka-dev libpq-dev libnng-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler
    libjansson-dev libyaml-dev libmicrohttpd-dev libcurl4-openssl-dev libssl-dev libglib2.0-dev)
PACKAGES_run=(postgresql)
# The programs' libraries, in the container image, and what its health checks use.
PACKAGES_image=(librdkafka1 libpq5 libnng1 libprotobuf-c1 libjansson4 libyaml-0-2 libmicrohttpd12 libcurl4 libssl3 libglib2.0-0
    ca-certificates curl)
# What the tasks of docs/examples/pipelines import, for workers in containers.
PACKAGES_worker=(python3 python3-xgboost python3-sklearn)
PACKAGES_demo=(python3 python3-xgboost python3-sklearn python3-protobuf python3-confluent-kafka)
PACKAGES_package=(dpkg-dev file)
PACKAGES_test=("${PACKAGES_package[@]}" debootstrap lintian systemd libcriterion-dev python3-pytest python3-yaml python3-jsonschema python3-venv python3-psutil python3-aiosmtpd kcat maven default-jre-headless procps iproute2 curl jq shellcheck wrk prometheus prometheus-alertmanager)
# A Docker engine of their own for the tests with the label compose.
PACKAGES_compose=(docker.io docker-compose debootstrap iptables slirp4netns maven default-jre-headless)
# Debian 13 has Docker's client in a package of its own.
case $(. /etc/os-release && echo "$ID$VERSION_ID") in debian1[3-9]) PACKAGES_compose+=(docker-cli) ;; esac
PACKAGES_ci=(clang clang-format clang-tidy llvm lld)
PACKAGES_bench=(nginx-light)

need() {
    local set name missing=()
    for set in "$@"; do
        local -n packages=PACKAGES_$set
        for name in "${packages[@]}"; do
            dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok' || missing+=("$name")
        done
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "These packages are missing and sudo is not here to install them; as root run:" >&2
            echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
    fi
    echo "Installing ${#missing[@]} packages: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
