/* SPDX-License-Identifier: Apache-2.0 */
/* parts.c - the table of services that a local platform runs. */
#include "parts.h"

#include "err/err.h"

#define ON_BUS                                                                                     \
    "BROKERS={brokers}\n"                                                                          \
    "BUS_PREFIX={bus_prefix}\n"                                                                    \
    "BUS_FETCH_WAIT_MS={fetch_wait_ms}\n"
#define WITH_TABLES                                                                                \
    ON_BUS "DB_URL={db_url}\n"                                                                     \
           "RPC_KEY=@{rpc_key_file}\n"
#define SERVICE(service)                                                                           \
    WITH_TABLES "RPC_URL={" service "_rpc}\n"                                                      \
                "HTTP_BIND=127.0.0.1:{" service "_admin_port}\n"

const struct part_row part_rows[] = {
    {"experiment", "EXPERIMENT", SERVICE("experiment"), "experiment_admin_port", PHASE_SERVICE},
    {"registry", "REGISTRY", SERVICE("registry"), "registry_admin_port", PHASE_SERVICE},
    {"deployment", "DEPLOYMENT", SERVICE("deployment"), "deployment_admin_port", PHASE_SERVICE},
    {"monitoring", "MONITORING", SERVICE("monitoring") "ARTIFACT_URL=file://{dir}/artifacts\n",
     "monitoring_admin_port", PHASE_SERVICE},
    /* Development: receivers may be on this machine. Elsewhere the default refuses private addresses. */
    {"alert", "ALERT", SERVICE("alert") "ALLOW_PRIVATE=on\n", "alert_admin_port", PHASE_SERVICE},
    {"pipeline", "PIPELINE", SERVICE("pipeline"), "pipeline_admin_port", PHASE_SERVICE},
    {"gateway", "GATEWAY",
     SERVICE("gateway") "BIND=127.0.0.1:{gateway_port}\n"
                        "AUTH=none\n"
                        "ARTIFACT_URL=file://{dir}/artifacts\n"
                        "EXPERIMENT_URL={experiment_rpc}\n"
                        "REGISTRY_URL={registry_rpc}\n"
                        "DEPLOYMENT_URL={deployment_rpc}\n"
                        "MONITORING_URL={monitoring_rpc}\n"
                        "ALERT_URL={alert_rpc}\n"
                        "PIPELINE_URL={pipeline_rpc}\n",
     "gateway_port", PHASE_EDGE},
    {"inference", "INFERENCE",
     ON_BUS "BIND=127.0.0.1:{inference_port}\n"
            "ARTIFACT_URL=file://{dir}/artifacts\n"
            "CACHE_DIR={dir}/cache\n"
            "POD=local\n",
     "inference_port", PHASE_EDGE},
    {"worker", "WORKER",
     "GATEWAY_URL={gateway_url}\n"
     "HTTP_BIND=127.0.0.1:{worker_admin_port}\n"
     "NAME=local\n"
     "DIR={dir}/worker\n"
     "SECRETS_DIR={dir}/task-secrets\n",
     "worker_admin_port", PHASE_EDGE},
};
const size_t part_row_count = ARRAY_LEN(part_rows);
