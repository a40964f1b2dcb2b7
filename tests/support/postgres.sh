#!/usr/bin/env bash
# A private PostgreSQL cluster for tests and benchmarks, on a free loopback port.
#   postgres.sh up DIR [name=value ...]  make and start it; prints the URL (also in DIR/url); settings go to postgresql.conf
#   postgres.sh down DIR                 stop it
#   postgres.sh kill DIR                 SIGKILL the whole cluster; postgres.sh start DIR starts it again
# Works as root: PostgreSQL then runs as the user postgres.
set -euo pipefail
die() { echo "postgres.sh: $*" >&2; exit 1; }
BIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
[ -d "$BIN" ] || die "no PostgreSQL server found: install the package postgresql"
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi; }
# Below what the kernel gives to connections, so that none takes it before the server does.
freeport() {
  python3 -c '
import random, socket
while True:
    port = random.randrange(20000, 32000)
    try:
        socket.create_server(("127.0.0.1", port)).close()
        break
    except OSError:
        pass
print(port)'
}
# The shell between waits for the server: where nobody reaps orphans (a container without an init) a killed
# server would stay behind as a zombie, which PostgreSQL takes for one that still runs.
start() {
  port=$(sed -n 's/^port = //p' "$1/data/postgresql.conf")
  # shellcheck disable=SC2016 # expands there
  as setsid sh -c '"$@"; exit 0' sh "$BIN/postgres" -D "$1/data" </dev/null >>"$1/log" 2>&1 &
  for _ in $(seq 600); do
    "$BIN/pg_isready" -q -h 127.0.0.1 -p "$port" && return
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  tail -20 "$1/log" >&2
  die "did not start"
}
case ${1:-} in
up)
  [ $# -ge 2 ] || die "up DIR"
  d=$2; shift 2
  [ -e "$d/data" ] && die "$d is in use"
  mkdir -p "$d"; d=$(cd "$d" && pwd); port=$(freeport)
  mkdir "$d/data"; touch "$d/log"
  [ "$(id -u)" = 0 ] && chown postgres: "$d/data" "$d/log"
  (cd / && as "$BIN/initdb" -D "$d/data" -U modelbus -A trust -E UTF8 --locale=C -N >"$d/initdb.log" 2>&1) || { cat "$d/initdb.log" >&2; die "initdb failed"; }
  { echo "port = $port"; echo "listen_addresses = '127.0.0.1'"; echo "unix_socket_directories = ''"
    echo "max_connections = 300"; for s in "$@"; do echo "${s%%=*} = '${s#*=}'"; done; } >>"$d/data/postgresql.conf"
  (cd / && start "$d")
  echo "postgresql://modelbus@127.0.0.1:$port/postgres" >"$d/url"; cat "$d/url" ;;
start) (cd / && start "$(cd "$2" && pwd)") ;;
down) d=$(cd "$2" && pwd); (cd / && as "$BIN/pg_ctl" -D "$d/data" -m fast -w -s stop) ;;
kill)
  pid=$(head -n 1 "$2/data/postmaster.pid"); pkill -KILL -P "$pid" || true; kill -KILL "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done ;;
*) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
