/* SPDX-License-Identifier: Apache-2.0 */
/* openapi_bounds.c - what the services enforce on fields of requests: events/values.h and the
 * checks of each service, for the description of the interface only. */
#include "openapi.h"

#include "auth/auth.h"
#include "db/db_page.h"
#include "tokens.h"
#include "values.h"

#include <fnmatch.h>
#include <stdio.h>

#define LINE "^[^\\u0000-\\u001f\\u007f]+$" /* a name: text of one line */
#define LINE_OR_EMPTY "^[^\\u0000-\\u001f\\u007f]*$"
#define TEXT "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]*$"
#define MODEL_NAME "^[A-Za-z0-9_]([A-Za-z0-9_ .-]{0,198}[A-Za-z0-9_.-])?$"
#define MODEL_NAME_OR_EMPTY "^([A-Za-z0-9_]([A-Za-z0-9_ .-]{0,198}[A-Za-z0-9_.-])?)?$"
#define ENDPOINT_NAME "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
#define ALIAS "^(?!latest$)(?!v[0-9]+$)[A-Za-z_][A-Za-z0-9_-]{0,254}$"
#define ALIAS_OR_EMPTY "^((?!latest$)(?!v[0-9]+$)[A-Za-z_][A-Za-z0-9_-]{0,254})?$"
#define UUID "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
#define ARTIFACT_URI "^sha256:[0-9a-f]{64}$"
#define SCOPE "^[a-z][a-z-]*:[a-z]+$"
#define ROLE "^(viewer|editor|approver|admin)$"

#define ALERT_NAME "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
#define LABEL_NAME "^[A-Za-z_][A-Za-z0-9_]{0,99}$"
#define MATCHER "^ *[A-Za-z_][A-Za-z0-9_]{0,99} *(=(?!~)|!=|!?~)[^\\u0000-\\u001f\\u007f]{0,100}$"
#define CONDITION                                                                                  \
    "^ *[a-z_][a-z0-9_]*(\\.[a-z_][a-z0-9_]*)* "                                                   \
    "*((=(?!~)|!=|!?~)[^\\u0000-\\u001f\\u007f]{0,100}|[<>]=? "                                    \
    "*-?[0-9]{1,9})$"
#define EVENT_NAME "^(modelbus\\.[a-z]+\\.v1\\.)?[A-Z][A-Za-z]{0,60}$"
#define EVENT_NAME_OR_EMPTY "^((modelbus\\.[a-z]+\\.v1\\.)?[A-Z][A-Za-z]{0,60})?$"
#define SEVERITY "^(critical|warning|info)?$"
#define TEMPLATE                                                                                   \
    "^([^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f{}]|\\{[a-z_][a-z0-9_.]*\\})*$"
#define RECEIVER_TYPE "^(webhook|alertmanager|slack|email|log)$"
#define HTTP_URL "^(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?)?$"
#define MAIL_ADDRESS "^[A-Za-z0-9._+-]{1,60}@[A-Za-z0-9-]{1,60}(\\.[A-Za-z0-9-]{1,60})*$"
#define SECONDS .not_negative = true, .max = ALERT_SECONDS_MAX
/* As services/alert/alert.h has them, which a service does not see of another. */
#define ALERT_SECONDS_MAX 31536000
#define ALERT_LISTED_MAX 20
#define ALERT_LABELS_MAX 30

#define A_NAME .pattern = LINE, .max_length = VALUE_NAME_MAX, .required = true
#define SOME_TEXT .pattern = TEXT, .max_length = VALUE_TEXT_MAX
#define P "modelbus."

/* services/monitoring/rules.h, which this service cannot include */
#define RULES_WINDOW_MAX 10000000
#define RULES_SECONDS_MAX 2592000
#define RULES_MIN_COLUMNS_MAX 8192
#define RULES_STREAK_MAX 1000
#define RULES_COLUMNS_MAX 1000
#define RULES_SEGMENTS_MAX 3
/* services/monitoring/label_rules.h */
#define LABELS_MAX 10000
#define LABELS_WINDOW_MAX 100000
#define LABELS_HORIZON_MAX 31536000
#define LABELS_BOUND_MAX 1000000000000000

static const struct openapi_bound bounds[] = {
    {P "common.v1.PageRequest.page_size", .max = DB_PAGE_MAX, .not_negative = true},
    {P "common.v1.PageRequest.page_token", .format = "page-token"},
    {P "common.v1.Tag.key", A_NAME},
    {P "common.v1.Tag.value", SOME_TEXT},
    {P "common.v1.Metric.key", A_NAME},
    {P "common.v1.Metric.step", .not_negative = true},
    {P "common.v1.Metric.timestamp_ms", .not_negative = true},
    {P "common.v1.Artifact.uri", .pattern = ARTIFACT_URI, .required = true},
    {P "common.v1.Artifact.size_bytes", .max = INT64_MAX, .not_negative = true},
    {P "common.v1.Artifact.format", .pattern = TEXT, .max_length = 50},
    {P "common.v1.Artifact.file_name", .pattern = TEXT, .max_length = VALUE_NAME_MAX},

    {P "registry.v1.AddEvaluationRequest.metrics", .max_items = VALUE_METRICS_MAX,
     .required = true},
    {P "*.tags", .max_items = VALUE_TAGS_MAX},
    {P "*.params", .max_items = VALUE_TAGS_MAX},
    {P "*.metrics", .max_items = VALUE_METRICS_MAX},
    {P "*.feature_names", .pattern = LINE, .max_length = VALUE_NAME_MAX,
     .max_items = VALUE_FEATURES_MAX},
    {P "*.description", SOME_TEXT},
    {P "*.reason", SOME_TEXT},
    {P "*.artifact", .required = true},

    {P "experiment.v1.*Request.name", A_NAME},
    {P "experiment.v1.ListRunsRequest.experiment", .pattern = LINE_OR_EMPTY,
     .max_length = VALUE_NAME_MAX},
    {P "experiment.v1.CreateRunRequest.experiment", .pattern = LINE_OR_EMPTY,
     .max_length = VALUE_NAME_MAX},
    {P "experiment.v1.CreateRunRequest.run_name", .pattern = TEXT, .max_length = VALUE_NAME_MAX},
    {P "experiment.v1.CreateRunRequest.run_id", .pattern = LINE_OR_EMPTY,
     .max_length = VALUE_NAME_MAX},
    {P "experiment.v1.*Request.run_id", A_NAME},
    {P "experiment.v1.*Request.key", A_NAME},
    {P "experiment.v1.AttachModelRequest.model", .required = true},
    {P "experiment.v1.AttachedModel.model_name", .pattern = MODEL_NAME, .required = true},
    {P "experiment.v1.FinishRunRequest.status", .without = "RUN_STATUS_RUNNING"},

    {P "registry.v1.*Request.name", .pattern = MODEL_NAME, .required = true},
    {P "registry.v1.*Request.name_prefix", .pattern = TEXT, .max_length = VALUE_MODEL_NAME_MAX},
    {P "registry.v1.CreateModelVersionRequest.run_id", .pattern = TEXT,
     .max_length = VALUE_NAME_MAX},
    {P "registry.v1.*PromotionPolicyRequest.alias", .pattern = ALIAS_OR_EMPTY},
    {P "registry.v1.SetPromotionPolicyRequest.metric", A_NAME},
    {P "registry.v1.SetPromotionPolicyRequest.direction", .pattern = "^(maximize|minimize)$",
     .required = true},
    {P "registry.v1.SetPromotionPolicyRequest.min_margin", .max = 1000000, .not_negative = true},
    {P "registry.v1.*Request.window", A_NAME},
    {P "registry.v1.AddEvaluationRequest.rows", .not_negative = true},
    {P "registry.v1.ChallengeAliasRequest.alias", .pattern = ALIAS_OR_EMPTY},
    {P "registry.v1.*Request.alias", .pattern = ALIAS, .required = true},
    {P "registry.v1.*Request.version", .positive = true, .required = true},
    {P "registry.v1.SetStageRequest.stage", .without = "STAGE_UNSPECIFIED", .required = true},

    {P "deployment.v1.*Request.name", .pattern = ENDPOINT_NAME, .required = true},
    {P "deployment.v1.CreateEndpointRequest.model_name", .pattern = MODEL_NAME, .required = true},
    {P "deployment.v1.*Request.model_name", .pattern = MODEL_NAME_OR_EMPTY},
    {P "deployment.v1.*Request.alias", .pattern = ALIAS_OR_EMPTY},
    {P "deployment.v1.*Request.version", .not_negative = true},
    {P "deployment.v1.*Request.to_version", .not_negative = true},

    {P "deployment.v1.DriftPolicy.on_drift",
     .pattern = "^(|none|rollback|retrain|rollback_and_retrain)$"},
    {P "deployment.v1.DriftPolicy.pipeline", .pattern = LINE_OR_EMPTY,
     .max_length = VALUE_NAME_MAX},
    {P "deployment.v1.DriftPolicy.retrains_per_day", .max = 1000, .not_negative = true},
    {P "deployment.v1.DriftPolicy.*_s", .max = 31622400, .not_negative = true},

    {P "monitoring.v1.*Request.endpoint", A_NAME},
    {P "monitoring.v1.*Request.id", .pattern = UUID, .required = true},
    {P "monitoring.v1.*Request.version", .not_negative = true},
    {P "monitoring.v1.PredictionLabel.prediction_id", A_NAME},
    {P "monitoring.v1.PredictionLabel.value", A_NAME},
    {P "monitoring.v1.PredictionLabel.labelled_at_ms", .max = INT64_MAX, .not_negative = true},
    {P "monitoring.v1.PushLabelsRequest.labels", .max_items = LABELS_MAX, .required = true},
    {P "monitoring.v1.PerformanceRules.*_after", .max = RULES_STREAK_MAX, .not_negative = true},
    {P "monitoring.v1.PerformanceRules.horizon_s", .max = LABELS_HORIZON_MAX, .not_negative = true},
    {P "monitoring.v1.PerformanceRules.limit", .max = LABELS_BOUND_MAX, .not_negative = true},
    {P "monitoring.v1.PerformanceRules.max_drop", .max = LABELS_BOUND_MAX, .not_negative = true},
    {P "monitoring.v1.PerformanceRules.metric",
     .pattern = "^(|accuracy|precision|recall|f1|auc|log_loss|rmse|mae)$"},
    {P "monitoring.v1.PerformanceRules.output", .pattern = LINE_OR_EMPTY,
     .max_length = VALUE_NAME_MAX},
    {P "monitoring.v1.PerformanceRules.positive", .pattern = LINE_OR_EMPTY,
     .max_length = VALUE_NAME_MAX},
    {P "monitoring.v1.PerformanceRules.sample", .max = 1, .not_negative = true},
    {P "monitoring.v1.PerformanceRules.task", .pattern = "^(|classification|regression)$"},
    {P "monitoring.v1.PerformanceRules.window_rows", .max = LABELS_WINDOW_MAX,
     .not_negative = true},
    {P "monitoring.v1.MonitorRules.window_rows", .max = RULES_WINDOW_MAX, .not_negative = true},
    {P "monitoring.v1.MonitorRules.window_seconds", .max = RULES_SECONDS_MAX, .not_negative = true},
    {P "monitoring.v1.MonitorRules.min_columns", .max = RULES_MIN_COLUMNS_MAX,
     .not_negative = true},
    {P "monitoring.v1.MonitorRules.*_after", .max = RULES_STREAK_MAX, .not_negative = true},
    {P "monitoring.v1.MonitorRules.*_rows", .max = RULES_WINDOW_MAX, .not_negative = true},
    {P "monitoring.v1.MonitorRules.columns", .max_items = RULES_COLUMNS_MAX},
    {P "monitoring.v1.MonitorRules.segments", .pattern = LINE, .max_length = VALUE_NAME_MAX,
     .max_items = RULES_SEGMENTS_MAX, .unique = true},
    {P "monitoring.v1.MonitorRules.profile", .pattern = "^(|native|evidently|scipy)$"},
    {P "monitoring.v1.MonitorRules.correction", .pattern = "^(|holm|benjamini-hochberg|bh|none)$"},
    {P "monitoring.v1.*.method",
     .pattern = "^(|auto|ks|chi2|chi2_contingency|chisquare|z|psi|wasserstein|jensenshannon|"
                "hellinger)$"},
    {P "monitoring.v1.ColumnRule.column", A_NAME},
    {P "monitoring.v1.*.threshold", .max = 1000000, .not_negative = true},

    {P "alert.v1.*Alert*Request.id", .pattern = UUID, .required = true},
    {P "alert.v1.*SilenceRequest.id", .pattern = UUID, .required = true},
    {P "alert.v1.*Request.comment", SOME_TEXT},
    {P "alert.v1.CreateSilenceRequest.match", .pattern = MATCHER, .max_items = ALERT_LISTED_MAX,
     .required = true},
    {P "alert.v1.CreateSilenceRequest.duration_s", .positive = true, .max = ALERT_SECONDS_MAX,
     .required = true},
    {P "alert.v1.*Request.name", .pattern = ALERT_NAME, .required = true},
    {P "alert.v1.*Request.event", .pattern = EVENT_NAME, .required = true},
    {P "alert.v1.*Request.when", .pattern = CONDITION, .max_items = ALERT_LISTED_MAX},
    {P "alert.v1.*Request.severity", .pattern = SEVERITY},
    {P "alert.v1.*Request.labels", .max_items = ALERT_LABELS_MAX},
    {P "alert.v1.*Request.annotations", .max_items = ALERT_LABELS_MAX},
    {P "alert.v1.Label.key", .pattern = LABEL_NAME, .required = true},
    {P "alert.v1.Label.value", .pattern = TEMPLATE, .max_length = 2000},
    {P "alert.v1.*Request.resolve_on", .pattern = EVENT_NAME_OR_EMPTY},
    {P "alert.v1.*Request.resolve_when", .pattern = CONDITION, .max_items = ALERT_LISTED_MAX},
    {P "alert.v1.*Request.*_s", SECONDS},
    {P "alert.v1.*Request.type", .pattern = RECEIVER_TYPE, .required = true},
    {P "alert.v1.*Request.url", .pattern = HTTP_URL, .max_length = 2000},
    {P "alert.v1.*Request.to", .pattern = MAIL_ADDRESS, .max_length = 254,
     .max_items = ALERT_LISTED_MAX},
    {P "alert.v1.*Request.authorization", .pattern = LINE_OR_EMPTY, .max_length = 4000},
    {P "alert.v1.*Request.position", .not_negative = true, .max = 1000000},
    {P "alert.v1.*Request.match", .pattern = MATCHER, .max_items = ALERT_LISTED_MAX},
    {P "alert.v1.*Request.receivers", .pattern = ALERT_NAME, .max_items = 10, .required = true},
    {P "alert.v1.*Request.group_by", .pattern = LABEL_NAME, .max_items = ALERT_LABELS_MAX},
    {P "alert.v1.*Request.escalate_to", .pattern = "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})?$"},
    {P "alert.v1.*Request.source", .pattern = MATCHER, .max_items = ALERT_LISTED_MAX,
     .required = true},
    {P "alert.v1.*Request.target", .pattern = MATCHER, .max_items = ALERT_LISTED_MAX,
     .required = true},
    {P "alert.v1.*Request.equal", .pattern = LABEL_NAME, .max_items = ALERT_LABELS_MAX},

    {P "pipeline.v1.ApplyPipelineRequest.text", .max_length = 1048576, .required = true},
    {P "pipeline.v1.*Request.run", .pattern = UUID, .required = true},
    {P "pipeline.v1.*Request.wait_ms", .not_negative = true, .max = 30000},
    {P "pipeline.v1.BackfillRequest.from_ms", .positive = true, .required = true},
    {P "pipeline.v1.BackfillRequest.to_ms", .positive = true, .required = true},
    {P "pipeline.v1.BackfillRequest.max_runs", .not_negative = true, .max = 10000},
    {P "pipeline.v1.ListPipelineRunsRequest.*", .pattern = TEXT, .max_length = VALUE_NAME_MAX},
    {P "pipeline.v1.*Request.worker", A_NAME},
    {P "pipeline.v1.*Request.instance", A_NAME},
    {P "pipeline.v1.PollTasksRequest.version", .pattern = TEXT, .max_length = VALUE_NAME_MAX},
    {P "pipeline.v1.*Request.version", .not_negative = true},
    {P "pipeline.v1.WriteTaskLogRequest.data", .pattern = "^([A-Za-z0-9+/]{4})*$",
     .max_length = 1398100},
    {P "pipeline.v1.PollTasksRequest.leases", .pattern = UUID, .max_items = 1000},
    {P "pipeline.v1.PollTasksRequest.host", .pattern = TEXT, .max_length = VALUE_NAME_MAX},
    {P "pipeline.v1.*Request.lease", .pattern = UUID, .required = true},
    {P "pipeline.v1.FinishTasksRequest.endings", .max_items = 100},
    {P "pipeline.v1.TaskEnding.lease", .pattern = UUID, .required = true},
    {P "pipeline.v1.TaskEnding.status", .pattern = "^(succeeded|failed|cancelled)$",
     .required = true},
    {P "pipeline.v1.TaskEnding.outputs", .max_items = 50},
    {P "pipeline.v1.TaskEnding.log_uri", .pattern = TEXT, .max_length = VALUE_NAME_MAX},
    {P "pipeline.v1.TaskEnding.log_bytes", .not_negative = true},
    {P "pipeline.v1.Output.name", A_NAME},
    {P "pipeline.v1.Output.uri", A_NAME},
    {P "pipeline.v1.Output.value", .max_length = 4096},
    {P "pipeline.v1.Resources.cpu", .not_negative = true, .max = 100000},
    {P "pipeline.v1.Resources.gpu", .not_negative = true, .max = 2147483647},

    {P "gateway.v1.CreateTokenRequest.subject", .pattern = LINE, .max_length = AUTH_SUBJECT_MAX,
     .required = true},
    {P "gateway.v1.CreateTokenRequest.roles", .pattern = ROLE, .required = true},
    {P "gateway.v1.CreateTokenRequest.scopes", .pattern = SCOPE},
    {P "gateway.v1.CreateTokenRequest.lifetime_s", .not_negative = true,
     .max = TOKENS_LIFETIME_MAX_S},
    {P "gateway.v1.*Request.id", .pattern = UUID, .required = true},
    {.field = NULL},
};

const struct openapi_bound *
openapi_bound(const ProtobufCMessageDescriptor *message, const ProtobufCFieldDescriptor *field)
{
    char name[256];

    snprintf(name, sizeof(name), "%s.%s", message->name, field->name);
    for (const struct openapi_bound *b = bounds; b->field; b++)
        if (fnmatch(b->field, name, 0) == 0)
            return b;
    return NULL;
}
