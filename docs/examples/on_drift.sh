#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hear DriftDetected with nothing but kcat and protoc: prints each event as text.
#   . ~/.local/share/modelbus/env && docs/examples/on_drift.sh [--from-start] [COUNT]
set -euo pipefail
from=end count=0
if [ "${1:-}" = --from-start ]; then from=beginning; shift; fi
[ $# -eq 0 ] || count=$1
proto=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../proto" && pwd)
brokers=${MODELBUS_BROKERS:-127.0.0.1:9092} topic=${MODELBUS_BUS_PREFIX:-modelbus}.monitoring
seen=0
# The first reader says where such events are; a shell cannot hold the bytes of one, so the second fetches it into a pipe.
while read -r partition offset headers; do
    [[ ,$headers, == *,ce_type=modelbus.monitoring.v1.DriftDetected,* ]] || continue
    kcat -C -q -b "$brokers" -t "$topic" -p "$partition" -o "$offset" -c 1 -D '' -f '%s' |
        protoc -I "$proto" --decode=modelbus.monitoring.v1.DriftDetected modelbus/monitoring/v1/events.proto
    seen=$((seen + 1))
    [ "$seen" != "$count" ] || break
done < <(exec kcat -C -q -u -b "$brokers" -t "$topic" -o "$from" -f '%p %o %h\n')
kill "$!" 2>/dev/null || true
