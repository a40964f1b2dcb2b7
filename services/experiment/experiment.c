/* SPDX-License-Identifier: Apache-2.0 */
/* experiment.c - the rules of experiments and training runs. */
#include "experiment.h"

#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *
experiment_status_name(RunStatus status)
{
    switch (status) {
    case RUN_STATUS(RUNNING):
        return "running";
    case RUN_STATUS(FINISHED):
        return "finished";
    case RUN_STATUS(FAILED):
        return "failed";
    case RUN_STATUS(KILLED):
        return "killed";
    default:
        return "unspecified";
    }
}

enum err_code
experiment_check_run(const Run *run, struct err *err)
{
    if (value_check_name("experiment", run->experiment, err) ||
        value_check_text("run_name", run->run_name, VALUE_NAME_MAX, err) ||
        (*run->run_id && value_check_name("run_id", run->run_id, err)) ||
        value_check_tags("params", run->params, run->n_params, err) ||
        value_check_tags("tags", run->tags, run->n_tags, err))
        return err->code;
    return ERR_OK;
}

enum err_code
experiment_check_batch(Metric *const *metrics, size_t metric_count, Tag *const *params,
                       size_t param_count, Tag *const *tags, size_t tag_count, struct err *err)
{
    if (value_check_metrics(metrics, metric_count, err) ||
        value_check_tags("params", params, param_count, err) ||
        value_check_tags("tags", tags, tag_count, err))
        return err->code;
    return ERR_OK;
}

enum err_code
experiment_check_model(const AttachedModel *model, struct err *err)
{
    if (!model)
        return err_set(err, ERR_INVALID, "model: missing");
    if (value_check_model_name(model->model_name, err) ||
        value_check_artifact("artifact", model->artifact, true, err) ||
        value_check_artifact("reference_sample", model->reference_sample, false, err) ||
        value_check_features(model->feature_names, model->n_feature_names, err) ||
        value_check_text("description", model->description, VALUE_TEXT_MAX, err))
        return err->code;
    return ERR_OK;
}

enum err_code
experiment_check_trained(const ModelTrained *event, struct err *err)
{
    AttachedModel model = MODELBUS__EXPERIMENT__V1__ATTACHED_MODEL__INIT;

    model.model_name = event->model_name;
    model.artifact = event->artifact;
    model.reference_sample = event->reference_sample;
    model.feature_names = event->feature_names;
    model.n_feature_names = event->n_feature_names;
    model.description = event->description;
    if (experiment_check_model(&model, err) ||
        (*event->run_id && value_check_name("run_id", event->run_id, err)) ||
        (*event->experiment && value_check_name("experiment", event->experiment, err)) ||
        value_check_text("trained_by", event->trained_by, VALUE_NAME_MAX, err))
        return err->code;
    if (event->trained_at_ms < 0)
        return err_set(err, ERR_INVALID, "trained_at_ms: negative");
    return experiment_check_batch(event->metrics, event->n_metrics, event->params, event->n_params,
                                  event->tags, event->n_tags, err);
}

enum err_code
experiment_check_finish(RunStatus now, int64_t revision, int64_t expected_revision, RunStatus *end,
                        struct err *err)
{
    RunStatus wanted = *end == RUN_STATUS(UNSPECIFIED) ? RUN_STATUS(FINISHED) : *end;

    if (wanted != RUN_STATUS(FINISHED) && wanted != RUN_STATUS(FAILED) &&
        wanted != RUN_STATUS(KILLED))
        return err_set(err, ERR_INVALID, "status: a run ends finished, failed or killed");
    if (expected_revision && expected_revision != revision)
        return err_set(err, ERR_CONFLICT,
                       "the run is at revision %" PRId64 ", not at the expected %" PRId64, revision,
                       expected_revision);
    if (now != RUN_STATUS(RUNNING))
        return err_set(err, ERR_PRECONDITION, "the run has ended: %s", experiment_status_name(now));
    *end = wanted;
    return ERR_OK;
}

void
experiment_run_id_of_event(const char *source, const char *event_id, char run_id[37])
{
    char both[1024], hex[SHA256_HEX + 1];
    int len = snprintf(both, sizeof(both), "%s\n%s", source, event_id);

    crypto_sha256_hex(both, (size_t)len < sizeof(both) ? (size_t)len : sizeof(both) - 1, hex);
    hex[12] = '8';                         /* version */
    hex[16] = "89ab"[(hex[16] - '0') & 3]; /* variant */
    snprintf(run_id, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
