/* SPDX-License-Identifier: Apache-2.0 */
/* test_drift_samples.c - the training run's sample: what it lacks is learned. */
#include "drift_stage.h"

TestSuite(drift_samples, .init = stage_open, .fini = stage_close);

static enum err_code
registered(const char *uri)
{
    ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    Modelbus__Common__V1__Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;

    artifact.uri = (char *)(uintptr_t)uri;
    event.model_name = "iris";
    event.version = 1;
    event.artifact = event.reference_sample = &artifact;
    return fixture_hear(&stage.f, "r", &event);
}

/* Of the feature: 0 to 99, four times. */
static void
register_sample(void)
{
    CLEANUP(buf_done) struct buf csv = {0};
    char uri[ARTIFACT_URI_LEN + 1];

    buf_str(&csv, "x\n");
    for (int i = 0; i < 400; i++)
        buf_printf(&csv, "%d\n", i % 100);
    OK(artifact_put_bytes(stage.artifacts, csv.data, csv.len, uri, &stage.f.err));
    OK(registered(uri));
}

static const ColumnVerdict *
verdict(const char *id, const char *column)
{
    Modelbus__Monitoring__V1__GetReportRequest request =
        MODELBUS__MONITORING__V1__GET_REPORT_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetReportResponse reply =
        MODELBUS__MONITORING__V1__GET_REPORT_RESPONSE__INIT;

    request.id = (char *)(uintptr_t)id;
    OK(CALL(&stage.f, "GetReport", &request, &reply));
    for (size_t i = 0; i < reply.report->n_columns; i++)
        if (strcmp(reply.report->columns[i]->column, column) == 0)
            return reply.report->columns[i];
    cr_assert_fail("no verdict on %s", column);
    return NULL;
}

/* One message of a hundred is enough, the rest is judged as ever, and no row is lost. */
Test(drift_samples, rows_of_more_columns_than_can_be_watched_are_a_finding)
{
    Report **list;

    register_sample();
    OK(stage_deployed());
    OK(stage_set_rules(NULL));
    OK(stage_rows(90, 0));
    stage.more_columns = MORE_MAX;
    OK(stage_rows(10, 0));
    stage.more_columns = 0;
    stage.f.service.state = stage.instances[1];
    OK(stage_rows(100, 0));
    cr_assert_eq(stage_reports(&list), 2);
    cr_expect_str_eq(verdict(list[0]->id, "x")->outcome, "no drift");
    cr_expect_str_eq(list[0]->outcome, "no drift");
    cr_expect_str_eq(list[1]->outcome, "drift");
    cr_expect_eq(list[1]->window->rows, 100);
    cr_expect_str_eq(verdict(list[1]->id, "*")->finding, "too_many_columns");
    cr_expect_str_eq(verdict(list[1]->id, "*")->outcome, "drift");
    cr_expect_str_eq(verdict(list[1]->id, "x")->outcome, "no drift");
    cr_expect_str_eq(verdict(list[1]->id, "x9")->finding, "column_new");
}

static void
learns_250(MonitorRules *rules)
{
    rules->reference_rows = 250;
}

/* Learning goes on beside the windows, whichever instance handles a message; then outputs are
 * judged like the rest. */
Test(drift_samples, outputs_that_the_sample_lacks_are_learned_while_the_rest_is_judged)
{
    static const struct db_stmt parts = {"SELECT count(*) FROM pane_part"};
    Report **list;

    stage.output_shift = 0;
    register_sample();
    OK(stage_deployed());
    OK(stage_set_rules(learns_250));
    for (int i = 0; i < 24; i++) {
        stage.f.service.state = stage.instances[i % 2];
        OK(stage_rows(10, 0));
    }
    cr_assert_eq(stage_reports(&list), 2);
    cr_expect_str_eq(list[0]->reference->kind, "sample");
    cr_expect_str_eq(verdict(list[0]->id, "x")->outcome, "no drift");
    cr_expect_str_eq(verdict(list[0]->id, "x")->reference, "sample");
    cr_expect_str_eq(verdict(list[0]->id, "y")->finding, "column_new");
    cr_expect(strstr(verdict(list[0]->id, "y")->reason, "being learned"));
    const Reference *reference = stage_monitor()->reference;
    cr_expect(reference->learned_rows == 240 && reference->learned_columns == 0);
    OK(stage_rows(60, 0));
    reference = stage_monitor()->reference;
    cr_expect(reference->rows == 400 && reference->learned_rows == 250);
    cr_expect_eq(reference->learned_columns, 1);
    cr_assert_eq(stage_reports(&list), 3);
    cr_expect_str_eq(verdict(list[0]->id, "y")->outcome, "no drift");
    cr_expect_str_eq(verdict(list[0]->id, "y")->reference, "rows");
    cr_expect_eq(fixture_number(&stage.f, &parts), 0, "what was learned is in the reference");
    stage.f.service.state = stage.instances[1];
    stage.output_shift = 50;
    OK(stage_rows(100, 0));
    cr_assert_eq(stage_reports(&list), 4);
    cr_expect_str_eq(verdict(list[0]->id, "x")->outcome, "no drift");
    cr_expect_str_eq(verdict(list[0]->id, "y")->outcome, "drift");
}

/* Else the rows after an episode would differ from what was learned in it. */
Test(drift_samples, what_the_sample_lacks_is_not_learned_of_an_episode)
{
    stage.output_shift = 50;
    register_sample();
    OK(stage_deployed());
    OK(stage_set_rules(learns_250));
    OK(stage_rows(100, 50));
    cr_expect_eq(stage_monitor()->reference->learned_rows, 100);
    OK(stage_rows(120, 50));
    cr_assert_str_eq(stage_monitor()->state, "drift");
    cr_expect_eq(stage_monitor()->reference->learned_rows, 0);
    stage.output_shift = 0;
    OK(stage_rows(400, 0));
    cr_assert_str_eq(stage_monitor()->state, "ok");
    cr_expect_eq(stage_monitor()->reference->learned_columns, 0);
    OK(stage_rows(250, 0));
    cr_expect_eq(stage_monitor()->reference->learned_columns, 1);
    OK(stage_rows(100, 0));
    cr_expect_str_eq(stage_monitor()->state, "ok");
    cr_expect_eq(fixture_said(&stage.f, "DriftDetected"), 1);
}

Test(drift_samples, a_sample_that_comes_while_rows_are_learned_is_taken_up)
{
    Report **list;

    OK(stage_deployed());
    OK(stage_set_rules(NULL));
    OK(stage_rows(60, 30));
    cr_expect_str_eq(stage_monitor()->reference->kind, "none");
    register_sample();
    OK(stage_rows(100, 30));
    cr_expect_str_eq(stage_monitor()->reference->kind, "sample");
    cr_assert_eq(stage_reports(&list), 1);
    cr_expect_str_eq(list[0]->outcome, "drift");
    cr_expect_str_eq(verdict(list[0]->id, "x")->reference, "sample");
}

Test(drift_samples, a_sample_that_comes_after_rows_became_the_reference_wins)
{
    Report **list;

    stage.output_shift = 0;
    OK(stage_deployed());
    OK(stage_set_rules(NULL));
    OK(stage_rows(100, 30));
    cr_expect_str_eq(stage_monitor()->reference->kind, "rows");
    OK(stage_rows(150, 30));
    cr_assert_eq(stage_reports(&list), 1);
    cr_expect_str_eq(list[0]->outcome, "no drift");
    register_sample();
    stage.f.service.state = stage.instances[1];
    OK(stage_rows(50, 30));
    cr_assert_eq(stage_reports(&list), 2, "no row of the window is lost");
    cr_expect_str_eq(list[0]->reference->kind, "sample");
    cr_expect_eq(list[0]->reference->learned_columns, 1);
    cr_expect_str_eq(verdict(list[0]->id, "x")->outcome, "drift");
    cr_expect_str_eq(verdict(list[0]->id, "x")->reference, "sample");
    cr_expect_str_eq(verdict(list[0]->id, "y")->outcome, "no drift");
    cr_expect_str_eq(verdict(list[0]->id, "y")->reference, "rows");
}

Test(drift_samples, a_sample_that_cannot_be_fetched_is_a_problem_that_is_said)
{
    OK(registered("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    OK(stage_deployed());
    OK(stage_set_rules(NULL));
    OK(stage_rows(100, 0));
    cr_expect_str_eq(stage_monitor()->reference->kind, "rows");
    cr_expect(strstr(stage_monitor()->reference->problem, "sha256:aaaa"), "%s",
              stage_monitor()->reference->problem);
}
