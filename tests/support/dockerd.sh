#!/usr/bin/env bash
# A private Docker engine for tests, in process, mount and network namespaces of its own. Needs root.
#   dockerd.sh start DIR [DATA]  start it; then: docker -H unix://DIR/sock ... Images are in DATA (default: DIR/data)
#   dockerd.sh run DIR WORDS...  run a program on its network, where published ports are
#   dockerd.sh kill DIR PID      SIGKILL a process by the number that `docker inspect` gives
#   dockerd.sh stop DIR          stop it; whatever ran in it ends with it
# Nothing is left on the machine's own network: the engine reaches the outside through slirp4netns.
set -euo pipefail
die() { echo "dockerd.sh: $*" >&2; exit 1; }
# is PID NAME: a number from a file may belong to somebody else by now, or be a zombie where nobody reaps orphans.
is() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
R=$(mkdir -p "$2"; cd "$2"; pwd)
case $1 in
start)
    [ "$(id -u)" = 0 ] || die "needs root"
    for program in dockerd containerd iptables slirp4netns; do
        PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v $program >/dev/null || die "$program is missing: install docker.io and slirp4netns"
    done
    [ -e "$R/holder" ] && die "$R is in use"
    mkdir -p "${3:-$R/data}"
    data=$(cd "${3:-$R/data}"; pwd)
    # overlay2 or nothing: without it every layer would be a full copy.
    PATH=/usr/sbin:/usr/bin:/sbin:/bin setsid unshare --mount --pid --net --fork --kill-child --mount-proc -- \
        dockerd --data-root "$data" --exec-root "$R/exec" -p "$R/pid" -H "unix://$R/sock" --storage-driver overlay2 \
        --bip 172.30.0.1/24 --default-address-pool base=172.30.128.0/17,size=24 --log-level warn \
        >"$R/log" 2>&1 </dev/null &
    echo $! >"$R/holder"
    holder=$!
    while ! init=$(cat "/proc/$holder/task/$holder/children" 2>/dev/null) || [ -z "$init" ]; do
        kill -0 "$holder" 2>/dev/null || { tail -n 20 "$R/log" >&2; die "did not start"; }
        sleep 0.01
    done
    echo "${init% }" >"$R/init"
    # The child's own network exists once it is not ours any more.
    while [ "$(readlink "/proc/${init% }/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    setsid slirp4netns --configure --mtu=1400 --disable-host-loopback "${init% }" tap0 >"$R/network.log" 2>&1 </dev/null &
    echo $! >"$R/network"
    for _ in $(seq 600); do
        docker -H "unix://$R/sock" version >/dev/null 2>&1 && exit 0
        kill -0 "$holder" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 20 "$R/log" >&2
    "$0" stop "$R"
    die "the engine did not start; see above (overlay2 needs a data folder on ext4 or xfs, now $data)" ;;
run) shift 2; exec nsenter -t "$(cat "$R/init")" --net -- "$@" ;;
kill) exec nsenter -t "$(cat "$R/init")" --pid --mount -- kill -KILL "$3" ;;
stop)
    holder=$(cat "$R/holder") init=$(cat "$R/init")
    if is "$init" dockerd; then kill "$init"; fi
    for _ in $(seq 400); do
        is "$init" dockerd || break
        sleep 0.05
    done
    if is "$holder" unshare; then kill -KILL "$holder"; fi # takes along what is left
    if [ -e "$R/network" ] && is "$(cat "$R/network")" slirp4netns; then kill "$(cat "$R/network")"; fi
    while is "$holder" unshare || is "$init" dockerd; do sleep 0.05; done
    rm -f "$R"/{holder,init,network} ;;
*) die "unknown command $1" ;;
esac
