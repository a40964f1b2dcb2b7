/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - all commands, in the order of the help, and the options that every one takes. */
#include "command.h"

const struct command *const command_tables[] = {
    local_commands,        deploy_commands,
    predict_commands,      model_commands,
    promotion_commands,    endpoint_commands,
    run_commands,          artifact_commands,
    event_commands,        query_commands,
    dlq_commands,          drift_commands,
    monitor_commands,      label_commands,
    alert_commands,        pipeline_commands,
    pipeline_run_commands, worker_commands,
    token_commands,        completion_commands,
    version_commands,      NULL,
};

const struct option_row global_options[] = {
    {"gateway", "URL", "gateway (MODELBUS_GATEWAY_URL)", NULL, 0},
    {"inference", "URL", "inference pod (MODELBUS_INFERENCE_URL)", NULL, 0},
    {"brokers", "LIST", "Kafka bootstrap list (MODELBUS_BROKERS)", NULL, 0},
    {"token", "TOKEN", "API token, or @FILE (MODELBUS_TOKEN)", NULL, 0},
    {"workspace", "NAME", "workspace of events and queries (default: default)", NULL, 0},
    {"dir", "DIR", "folder of the local platform whose addresses are used", COMPLETE_FOLDER, 0},
    {"json", NULL, "print JSON", NULL, 0},
    {"no-color", NULL, "no colours (also NO_COLOR)", NULL, 0},
    {"help", NULL, "show help", NULL, 'h'},
    {NULL, NULL, NULL, NULL, 0},
};
