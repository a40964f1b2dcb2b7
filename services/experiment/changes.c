/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - changes of runs with the events that they cause. */
#include "changes.h"

#include "crypto/crypto.h"

/* The table's check names a constraint; people need the bound. */
static MUST_CHECK enum err_code
measure(const struct change *change, const char *run_id, bool changed, struct err *err)
{
    enum err_code code = store_measure_run(&change->store, run_id, changed, err);

    if (code == ERR_PRECONDITION)
        return err_set(err, ERR_TOO_LARGE,
                       "run '%s': params, tags, metrics and models together are more than %u bytes",
                       run_id, EXPERIMENT_RUN_MAX);
    return code;
}

enum err_code
change_start_run(const struct change *change, Run *run, struct err *err)
{
    Modelbus__Experiment__V1__RunStarted event = MODELBUS__EXPERIMENT__V1__RUN_STARTED__INIT;

    if (experiment_check_run(run, err))
        return err->code;
    if (!*run->run_id) {
        run->run_id = arena_alloc(change->store.arena, 37);
        crypto_uuid7(run->run_id);
    }
    run->status = RUN_STATUS(RUNNING);
    run->started_at_ms = change->now_ms;
    run->started_by = (char *)change->by;
    if (store_ensure_experiment(&change->store, run->experiment, change->now_ms, err) ||
        store_add_run(&change->store, run, err) ||
        store_add_params(&change->store, run->run_id, run->params, run->n_params, err) ||
        store_set_tags(&change->store, run->run_id, run->tags, run->n_tags, err) ||
        measure(change, run->run_id, false, err))
        return err->code;
    event.run_id = run->run_id;
    event.experiment = run->experiment;
    event.run_name = run->run_name;
    event.started_at_ms = run->started_at_ms;
    event.started_by = run->started_by;
    return change_say(change, &event.base, err);
}

enum err_code
change_log(const struct change *change, const char *run_id,
           const Modelbus__Experiment__V1__LogBatchRequest *batch, struct err *err)
{
    const struct store *store = &change->store;
    RunStatus status;
    int64_t revision;

    if (experiment_check_batch(batch->metrics, batch->n_metrics, batch->params, batch->n_params,
                               batch->tags, batch->n_tags, err) ||
        store_lock_run(store, run_id, &status, &revision, err) ||
        (batch->n_params &&
         store_check_params(store, run_id, batch->params, batch->n_params, err)) ||
        store_add_params(store, run_id, batch->params, batch->n_params, err) ||
        store_set_tags(store, run_id, batch->tags, batch->n_tags, err) ||
        store_add_metrics(store, run_id, batch->metrics, batch->n_metrics, change->now_ms, err))
        return err->code;
    return measure(change, run_id, false, err);
}

enum err_code
change_attach(const struct change *change, const char *run_id, const AttachedModel *model,
              struct err *err)
{
    RunStatus status;
    int64_t revision;

    if (experiment_check_model(model, err) ||
        store_lock_run(&change->store, run_id, &status, &revision, err))
        return err->code;
    if (status != RUN_STATUS(RUNNING))
        return err_set(err, ERR_PRECONDITION, "the run has ended: %s",
                       experiment_status_name(status));
    if (store_put_model(&change->store, run_id, model, err))
        return err->code;
    return measure(change, run_id, true, err);
}

static MUST_CHECK enum err_code
say_trained(const struct change *change, const Run *run, const AttachedModel *model,
            struct err *err)
{
    ModelTrained event = MODELBUS__EXPERIMENT__V1__MODEL_TRAINED__INIT;

    event.model_name = model->model_name;
    event.run_id = run->run_id;
    event.artifact = model->artifact;
    event.metrics = run->metrics;
    event.n_metrics = run->n_metrics;
    event.params = run->params;
    event.n_params = run->n_params;
    event.tags = run->tags;
    event.n_tags = run->n_tags;
    event.feature_names = model->feature_names;
    event.n_feature_names = model->n_feature_names;
    event.reference_sample = model->reference_sample;
    event.trained_at_ms = change->now_ms;
    event.trained_by = run->started_by;
    event.description = model->description;
    event.experiment = run->experiment;
    return change_say(change, &event.base, err);
}

enum err_code
change_finish_run(const struct change *change, const char *run_id, RunStatus status,
                  int64_t expected_revision, struct err *err)
{
    Modelbus__Experiment__V1__RunFinished event = MODELBUS__EXPERIMENT__V1__RUN_FINISHED__INIT;
    RunStatus now;
    int64_t revision;
    Run *run;

    if (store_lock_run(&change->store, run_id, &now, &revision, err) ||
        experiment_check_finish(now, revision, expected_revision, &status, err) ||
        store_finish_run(&change->store, run_id, status, change->now_ms, err) ||
        store_get_run(&change->store, run_id, &run, err))
        return err->code;
    event.run_id = run->run_id;
    event.experiment = run->experiment;
    event.status = (char *)experiment_status_name(status);
    event.finished_at_ms = change->now_ms;
    if (change_say(change, &event.base, err))
        return err->code;
    for (size_t i = 0; status == RUN_STATUS(FINISHED) && i < run->n_models; i++)
        if (say_trained(change, run, run->models[i], err))
            return err->code;
    return ERR_OK;
}

enum err_code
change_record(const struct change *change, const char *run_id, const ModelTrained *event,
              struct err *err)
{
    const struct store *store = &change->store;
    AttachedModel model = MODELBUS__EXPERIMENT__V1__ATTACHED_MODEL__INIT;
    Run run = MODELBUS__EXPERIMENT__V1__RUN__INIT;

    if (experiment_check_trained(event, err))
        return err->code;
    run.run_id = (char *)run_id;
    run.experiment = *event->experiment ? event->experiment : (char *)EXPERIMENT_DEFAULT;
    run.status = RUN_STATUS(FINISHED);
    run.started_at_ms = event->trained_at_ms ? event->trained_at_ms : change->now_ms;
    run.finished_at_ms = run.started_at_ms;
    run.started_by = *event->trained_by ? event->trained_by : (char *)change->by;
    model.model_name = event->model_name;
    model.artifact = event->artifact;
    model.reference_sample = event->reference_sample;
    model.feature_names = event->feature_names;
    model.n_feature_names = event->n_feature_names;
    model.description = event->description;
    if (store_ensure_experiment(store, run.experiment, change->now_ms, err) ||
        store_ensure_run(store, &run, err) ||
        store_add_params(store, run_id, event->params, event->n_params, err) ||
        store_set_tags(store, run_id, event->tags, event->n_tags, err) ||
        store_add_metrics(store, run_id, event->metrics, event->n_metrics, run.started_at_ms,
                          err) ||
        store_put_model(store, run_id, &model, err))
        return err->code;
    return store_measure_run(store, run_id, true, err);
}
