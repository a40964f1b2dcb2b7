/* SPDX-License-Identifier: Apache-2.0 */
/* test_pipeline_turns.c - pipelines that let one run be active: starts and resumes beside another run. */
#include "stage.h"

TestSuite(pipeline_turns, .init = stage_open, .fini = stage_close);

#define FORBID "name: f\nconcurrency: forbid\ntasks:\n  - {name: a, run: [a]}\n"
#define REPLACE "name: r\nconcurrency: replace\ntasks:\n  - {name: a, run: [a]}\n"

static const char *
named(const char *run)
{
    return arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run);
}

/* A run of f, or of r, that has failed. */
static const char *
failed_run(const char *pipeline)
{
    const char *run = stage_run(pipeline, "{}");

    OK(stage_finish("w", stage_lease("w"), "failed"));
    cr_assert_str_eq(stage_status(run), "failed");
    return run;
}

static size_t
count_with_status(const char *status)
{
    const Modelbus__Pipeline__V1__ListPipelineRunsResponse *reply =
        stage_ask("ListPipelineRuns",
                  arena_printf(stage.f.arena, "{\"pipeline\":\"r\",\"status\":\"%s\"}", status));

    return reply->n_runs;
}

Test(pipeline_turns, forbid_refuses_a_start_and_names_the_active_run)
{
    stage_apply(FORBID);
    const char *active = stage_run("f", "{}");
    FAILS(ERR_PRECONDITION, stage_call("StartRun", "{\"name\":\"f\"}", NULL));
    cr_expect(strstr(stage.f.err.message, active), "%s", stage.f.err.message);
    cr_expect(strstr(stage.f.err.message, "cancel it"), "%s", stage.f.err.message);
    stage_work("w", "succeeded");
    stage_run("f", "{}");
}

Test(pipeline_turns, forbid_refuses_a_resume_and_names_the_active_run)
{
    stage_apply(FORBID);
    const char *failed = failed_run("f"), *active = stage_run("f", "{}");
    FAILS(ERR_PRECONDITION, stage_call("ResumeRun", named(failed), NULL));
    cr_expect(strstr(stage.f.err.message, active), "%s", stage.f.err.message);
    cr_expect_str_eq(stage_status(failed), "failed");
    cr_expect_str_eq(stage_tasks(failed), "a:failed");
    cr_expect_str_eq(stage_status(active), "running");
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    stage_ask("ResumeRun", named(failed));
    cr_expect_str_eq(stage_tasks(failed), "a:ready");
    /* Of a run that is active itself it is not another run that is in the way. */
    FAILS(ERR_PRECONDITION, stage_call("ResumeRun", named(failed), NULL));
    cr_expect(strstr(stage.f.err.message, "has not ended"), "%s", stage.f.err.message);
}

Test(pipeline_turns, allow_lets_both_run)
{
    stage_apply("name: p\ntasks:\n  - {name: a, run: [a]}\n");
    const char *failed = failed_run("p");
    stage_run("p", "{}");
    stage_ask("ResumeRun", named(failed));
    cr_expect_eq(stage_poll("w")->n_leases, 2);
}

Test(pipeline_turns, replace_begins_when_the_run_before_has_ended)
{
    stage_apply(REPLACE);
    const char *first = stage_run("r", "{}");
    Lease *lease = stage_lease("w");
    const char *second = stage_run("r", "{}");
    cr_expect_str_eq(stage_status(first), "cancelling");
    cr_expect_str_eq(stage_status(second), "waiting");
    cr_expect(*stage_get(second)->reason);
    cr_expect_eq(count_with_status("waiting"), 1);
    cr_expect_eq(count_with_status("running"), 0);
    cr_expect_eq(fixture_said(&stage.f, "PipelineStarted"), 1);
    cr_expect_eq(stage_tick(), 0);
    cr_expect_eq(stage_poll("w")->n_leases, 0);
    OK(stage_finish("w", lease, "cancelled"));
    cr_expect_str_eq(stage_status(first), "cancelled");
    stage_tick();
    cr_expect_str_eq(stage_status(second), "running");
    cr_expect_str_eq(stage_get(second)->reason, "");
    cr_expect_eq(count_with_status("waiting"), 0);
    cr_expect_str_eq(stage_lease("w")->run, second);
}

Test(pipeline_turns, replace_begins_at_once_when_nothing_runs_any_more)
{
    stage_apply(REPLACE);
    const char *first = stage_run("r", "{}"); /* nobody has taken its task */
    const char *second = stage_run("r", "{}");
    cr_expect_str_eq(stage_status(first), "cancelled");
    cr_expect_str_eq(stage_tasks(second), "a:ready");
}

Test(pipeline_turns, of_those_that_wait_the_last_one_runs)
{
    stage_apply(REPLACE);
    stage_run("r", "{}");
    Lease *lease = stage_lease("w");
    const char *second = stage_run("r", "{}"), *third = stage_run("r", "{}");
    cr_expect_str_eq(stage_status(second), "cancelled");
    cr_expect_str_eq(stage_status(third), "waiting");
    OK(stage_finish("w", lease, "cancelled"));
    stage_tick();
    cr_expect_str_eq(stage_lease("w")->run, third);
}

/* What waits is in the database: whoever is left goes on with it. */
Test(pipeline_turns, a_vanished_worker_and_instance_do_not_keep_it_waiting)
{
    const struct scheduler_options options = {
        .state = &stage.state, .retention_ms = 86400000, .log_retention_ms = 3600000};
    struct scheduler *other = scheduler_new(&options);

    stage_apply(REPLACE);
    const char *first = stage_run("r", "{}");
    stage_lease("w");
    const char *second = stage_run("r", "{}");
    stage.now_ms += WORK_LEASE_MS + 1;
    cr_expect_gt(stage_tick_by(other), 0);
    cr_expect_str_eq(stage_status(first), "cancelled");
    cr_expect_str_eq(stage_tasks(second), "a:ready");
    cr_expect(scheduler_free(other, INT64_MAX));
}

Test(pipeline_turns, a_resumed_run_replaces_the_active_one_and_waits_for_its_end)
{
    stage_apply("name: r\nconcurrency: replace\ntimeout_s: 100\ntasks:\n"
                "  - {name: a, run: [a], outputs: [n]}\n"
                "  - {name: b, run: [b, '${tasks.a.outputs.n}'], needs: [a]}\n");
    const char *old = stage_run("r", "{}");
    OK(stage_put_out("w", stage_lease("w"), "n", "7"));
    OK(stage_finish("w", stage_lease("w"), "failed"));
    const char *active = stage_run("r", "{}");
    Lease *lease = stage_lease("w");
    stage_ask("ResumeRun", named(old));
    cr_expect_str_eq(stage_status(active), "cancelling");
    cr_expect_str_eq(stage_status(old), "waiting");
    cr_expect_str_eq(stage_tasks(old), "a:succeeded b:waiting");
    cr_expect_eq(stage_tick(), 0);
    cr_expect_eq(stage_poll("w")->n_leases, 0);
    stage.now_ms += 20000; /* the time of a run counts from when it begins */
    OK(stage_finish("w", lease, "cancelled"));
    stage_tick();
    lease = stage_lease("w");
    cr_expect_str_eq(lease->run, old);
    cr_expect_str_eq(lease->task, "b");
    cr_expect_str_eq(lease->argv[1], "7");
    cr_expect_eq(fixture_said(&stage.f, "PipelineStarted"), 2);
    OK(stage_finish("w", lease, "succeeded"));
    cr_expect_str_eq(stage_status(old), "succeeded");
}

Test(pipeline_turns, a_resumed_run_that_waits_can_be_cancelled)
{
    stage_apply(REPLACE);
    const char *old = failed_run("r");
    stage_run("r", "{}");
    Lease *lease = stage_lease("w");
    stage_ask("ResumeRun", named(old));
    stage_ask("CancelRun", named(old));
    cr_expect_str_eq(stage_status(old), "cancelled");
    OK(stage_finish("w", lease, "cancelled"));
    stage_tick();
    cr_expect_eq(stage_poll("w")->n_leases, 0);
}

Test(pipeline_turns, the_time_of_a_run_counts_from_its_turn)
{
    stage_apply("name: r\nconcurrency: replace\ntimeout_s: 100\ntasks:\n  - {name: a, run: [a]}\n");
    stage_run("r", "{}");
    Lease *lease = stage_lease("w");
    const char *second = stage_run("r", "{}");
    /* The worker lives, and its task takes its time to end. */
    for (int i = 0; i < 8; i++) {
        stage.now_ms += WORK_LEASE_MS / 2;
        stage_poll("w");
        stage_tick();
    }
    cr_expect_str_eq(stage_status(second), "waiting");
    OK(stage_finish("w", lease, "cancelled"));
    stage_tick();
    stage.now_ms += 99000;
    stage_tick();
    cr_expect_str_eq(stage_status(second), "running");
    stage.now_ms += 1000;
    stage_tick();
    cr_expect_str_eq(stage_status(second), "failed");
}
