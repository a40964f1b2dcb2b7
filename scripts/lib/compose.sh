# shellcheck shell=bash
# What scripts that use docker-compose.yml share. Sourced, in the root of the tree.

# Sets `compose` to the command that works here: "docker compose" or docker-compose; COMPOSE_COMMAND
# chooses. Says what is missing and returns 1 otherwise.
find_compose() {
    local said
    compose=()
    if [ -n "${COMPOSE_COMMAND:-}" ]; then
        read -ra compose <<<"$COMPOSE_COMMAND"
    elif command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
        compose=(docker compose)
    elif command -v docker-compose >/dev/null; then
        compose=(docker-compose)
    fi
    if [ ${#compose[@]} = 0 ] || ! command -v docker >/dev/null; then
        echo "docker and docker-compose are not here; on Debian: apt-get install docker.io docker-compose" >&2
        return 1
    fi
    if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
        echo "No Docker engine answers at ${DOCKER_HOST:-the default address}; is it started, and may you use it?" >&2
        printf '%s\n' "$said" | tail -n 1 >&2
        return 1
    fi
}

# compose_states: a line "service status health" for each container of the project that has a health check.
compose_states() {
    local ids
    ids=$("${compose[@]}" ps -a -q) || return 1
    [ -n "$ids" ] || return 0
    # shellcheck disable=SC2086 # a list
    docker inspect --format \
        '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' \
        $ids | awk 'NF == 3'
}

# wait_ready SECONDS: until every service is healthy; says what it waits for. 1 when time is up.
wait_ready() {
    local end=$((SECONDS + $1)) states='' waiting='' shown=''
    while [ $SECONDS -lt "$end" ]; do
        states=$(compose_states) || return 1
        waiting=$(awk '$2 != "running" || $3 != "healthy" { printf "%s%s", separator, $1; separator = ", " }' <<<"$states")
        [ -n "$states" ] && [ -z "$waiting" ] && return 0
        [ "$waiting" = "$shown" ] || echo "Waiting for $waiting"
        shown=$waiting
        sleep 0.3
    done
    echo "Not ready after $1 s: $waiting; the last lines of their logs:" >&2
    # shellcheck disable=SC2086 # a list
    "${compose[@]}" logs --tail 20 ${waiting//,/} >&2
    return 1
}
