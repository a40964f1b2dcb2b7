#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Say ModelTrained with nothing but kcat and protoc: a model file becomes a version.
#   . ~/.local/share/modelbus/env && docs/examples/model_trained.sh MODEL FILE [FORMAT]
# FORMAT: xgboost-json (default), xgboost-ubjson, linear-json. Needs kcat, protoc, curl, jq.
set -euo pipefail
model=${1:?usage: model_trained.sh MODEL FILE [FORMAT]} file=${2:?which file?} format=${3:-xgboost-json}
proto=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../proto" && pwd)
gateway=${MODELBUS_GATEWAY_URL:-http://127.0.0.1:8080}
authorization=()
[ -z "${MODELBUS_TOKEN:-}" ] || authorization=(-H "Authorization: Bearer $MODELBUS_TOKEN")

stored=$(curl -sS --fail-with-body "${authorization[@]}" -H 'Content-Type: application/octet-stream' --data-binary "@$file" "$gateway/api/v1/artifacts")
event=$(mktemp)
trap 'rm -f "$event"' EXIT
jq -r --arg model "$model" --arg format "$format" --arg name "$(basename "$file")" --arg run "$(cat /proc/sys/kernel/random/uuid)" '
    "model_name: \($model | tojson)", "run_id: \($run | tojson)", "trained_by: \"model_trained.sh\"",
    "artifact { uri: \(.uri | tojson) size_bytes: \(.size_bytes) format: \($format | tojson) file_name: \($name | tojson) }"' <<<"$stored" |
    protoc -I "$proto" --encode=modelbus.experiment.v1.ModelTrained modelbus/experiment/v1/events.proto >"$event"
kcat -P -b "${MODELBUS_BROKERS:-127.0.0.1:9092}" -t "${MODELBUS_BUS_PREFIX:-modelbus}.experiment" -k "$model" -X enable.idempotence=true \
    -H ce_specversion=1.0 -H "ce_id=$(cat /proc/sys/kernel/random/uuid)" -H ce_source=/pipelines/model_trained.sh \
    -H ce_type=modelbus.experiment.v1.ModelTrained -H "ce_time=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" \
    -H content-type=application/protobuf "$event"
echo "$model: said ModelTrained, artifact $(jq -r .uri <<<"$stored")"
