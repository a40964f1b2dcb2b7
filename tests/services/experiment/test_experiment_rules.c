/* SPDX-License-Identifier: Apache-2.0 */
/* test_experiment_rules.c - the rules of experiments and runs. */
#include "experiment.h"

#include "crypto/crypto.h"

#include <criterion/criterion.h>
#include <string.h>

static struct err err;

Test(finish, a_running_run_ends_once)
{
    RunStatus end = RUN_STATUS(UNSPECIFIED);

    cr_expect_eq(experiment_check_finish(RUN_STATUS(RUNNING), 3, 0, &end, &err), ERR_OK);
    cr_expect_eq(end, RUN_STATUS(FINISHED));
    end = RUN_STATUS(KILLED);
    cr_expect_eq(experiment_check_finish(RUN_STATUS(RUNNING), 3, 3, &end, &err), ERR_OK);
    cr_expect_eq(end, RUN_STATUS(KILLED));
    cr_expect_eq(experiment_check_finish(RUN_STATUS(RUNNING), 3, 2, &end, &err), ERR_CONFLICT);
    cr_expect(strstr(err.message, "3") && strstr(err.message, "2"), "%s", err.message);
    cr_expect_eq(experiment_check_finish(RUN_STATUS(FAILED), 3, 0, &end, &err), ERR_PRECONDITION);
    end = RUN_STATUS(RUNNING);
    cr_expect_eq(experiment_check_finish(RUN_STATUS(RUNNING), 3, 0, &end, &err), ERR_INVALID);
}

Test(run_id, of_an_event_is_a_stable_uuid)
{
    char one[37], again[37], other[37];

    experiment_run_id_of_event("/pipeline/a", "e1", one);
    experiment_run_id_of_event("/pipeline/a", "e1", again);
    experiment_run_id_of_event("/pipeline/a", "e2", other);
    cr_expect(crypto_is_uuid(one), "%s", one);
    cr_expect_str_eq(one, again);
    cr_expect_str_neq(one, other);
    experiment_run_id_of_event("/pipeline/b", "e1", other);
    cr_expect_str_neq(one, other);
}

Test(batch, is_bounded)
{
    Metric metric = MODELBUS__COMMON__V1__METRIC__INIT;
    Metric *metrics[VALUE_METRICS_MAX + 1];

    metric.key = "loss";
    for (size_t i = 0; i <= VALUE_METRICS_MAX; i++)
        metrics[i] = &metric;
    cr_expect_eq(experiment_check_batch(metrics, VALUE_METRICS_MAX, NULL, 0, NULL, 0, &err),
                 ERR_OK);
    cr_expect_eq(experiment_check_batch(metrics, VALUE_METRICS_MAX + 1, NULL, 0, NULL, 0, &err),
                 ERR_INVALID);
    metric.step = -1;
    cr_expect_eq(experiment_check_batch(metrics, 1, NULL, 0, NULL, 0, &err), ERR_INVALID);
    metric.step = 0;
    metric.key = "";
    cr_expect_eq(experiment_check_batch(metrics, 1, NULL, 0, NULL, 0, &err), ERR_INVALID);
}

Test(trained, needs_a_model_and_an_artifact)
{
    ModelTrained event = MODELBUS__EXPERIMENT__V1__MODEL_TRAINED__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;

    cr_expect_eq(experiment_check_trained(&event, &err), ERR_INVALID);
    event.model_name = "iris";
    cr_expect_eq(experiment_check_trained(&event, &err), ERR_INVALID);
    artifact.uri = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    event.artifact = &artifact;
    cr_expect_eq(experiment_check_trained(&event, &err), ERR_OK, "%s", err.message);
    event.trained_at_ms = -1;
    cr_expect_eq(experiment_check_trained(&event, &err), ERR_INVALID);
}

Test(run, names_are_checked)
{
    Run run = MODELBUS__EXPERIMENT__V1__RUN__INIT;

    cr_expect_eq(experiment_check_run(&run, &err), ERR_INVALID);
    run.experiment = "default";
    cr_expect_eq(experiment_check_run(&run, &err), ERR_OK);
    run.run_id = "a\nb";
    cr_expect_eq(experiment_check_run(&run, &err), ERR_INVALID);
}
