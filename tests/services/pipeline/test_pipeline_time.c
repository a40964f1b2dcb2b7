/* SPDX-License-Identifier: Apache-2.0 */
/* test_pipeline_time.c - what starts runs by itself: cron, backfill, events, other pipelines. */
#include "stage.h"

#include "modelbus/monitoring/v1/events.pb-c.h"

#include <pthread.h>

TestSuite(pipeline_time, .init = stage_open, .fini = stage_close);

#define MINUTE 60000
#define HOUR (60 * MINUTE)
#define CRON(more)                                                                                 \
    "name: c\ntasks:\n  - {name: a, run: [a]}\ntriggers:\n  - {name: hourly, cron: '0 * * * "      \
    "*'" more "}\n"

static int64_t
next_hour(void)
{
    return (stage.now_ms / HOUR + 1) * HOUR;
}

Test(pipeline_time, a_time_fires_once)
{
    stage_apply(CRON(""));
    cr_expect_eq(stage_tick(), 0);
    stage.now_ms = next_hour();
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 1);
    const PipelineRun *run = stage_newest("c");
    cr_expect_str_eq(run->cause->kind, "cron");
    cr_expect_str_eq(run->cause->name, "hourly");
    cr_expect_eq(run->cause->logical_ms, stage.now_ms);
    cr_expect_eq(stage_poll("w")->n_leases, 1); /* it has begun */
    stage.now_ms += HOUR - 1;
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 1);
    stage.now_ms += 1;
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 2);
}

static void *
tick_in_thread(void *arg)
{
    struct scheduler *scheduler = arg;
    struct err err;
    bool did = true;

    while (did) {
        enum err_code code = scheduler_step(scheduler, &did, &err);
        cr_assert(code == ERR_OK || code == ERR_CONFLICT, "%s", err.message);
        did = did || code;
    }
    return NULL;
}

Test(pipeline_time, each_time_fires_once_over_several_instances)
{
    const struct scheduler_options options = {
        .state = &stage.state, .retention_ms = 86400000, .log_retention_ms = 3600000};
    struct scheduler *schedulers[3];
    pthread_t threads[3];

    stage_apply("name: c\ntasks:\n  - {name: a, run: [a]}\ntriggers:\n"
                "  - {name: second, cron: '* * * * * *'}\n");
    for (int i = 0; i < 3; i++)
        schedulers[i] = scheduler_new(&options);
    for (int round = 0; round < 5; round++) {
        stage.now_ms += 4000;
        for (int i = 0; i < 3; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, tick_in_thread, schedulers[i]), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
    }
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 20);
    cr_expect_eq(fixture_said(&stage.f, "PipelineStarted"), 20);
    for (int i = 0; i < 3; i++)
        cr_expect(scheduler_free(schedulers[i], INT64_MAX));
}

Test(pipeline_time, missed_times_are_caught_up_as_the_file_says)
{
    static const struct {
        const char *yaml;
        size_t runs;
    } cases[] = {
        {CRON(""), 0},
        {CRON(", catch_up: last"), 1},
        {CRON(", catch_up: all, catch_up_max: 3"), 3},
        {CRON(", catch_up: all, catch_up_max: 500"), 24},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        stage_apply(cases[i].yaml);
        int64_t first = next_hour();
        stage.now_ms = first + 24 * (int64_t)HOUR - MINUTE;
        stage_tick();
        cr_expect_eq(stage_count_runs("c"), cases[i].runs, "%s: %zu", cases[i].yaml,
                     stage_count_runs("c"));
        if (cases[i].runs)
            cr_expect_eq(stage_newest("c")->cause->logical_ms, first + 23 * (int64_t)HOUR);
        stage_work("w", "succeeded");
        stage_ask("DeletePipeline", "{\"name\":\"c\"}");
    }
}

Test(pipeline_time, a_clock_that_is_set_back_repeats_nothing)
{
    stage_apply(CRON(""));
    stage.now_ms = next_hour();
    stage_tick();
    stage.now_ms -= 3 * HOUR;
    stage_tick();
    stage.now_ms += HOUR;
    stage_tick();
    stage.now_ms += 2 * HOUR;
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 1);
    stage.now_ms += HOUR;
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 2);
}

Test(pipeline_time, what_is_paused_or_disabled_does_not_fire)
{
    stage_apply(CRON(""));
    stage_ask("PausePipeline", "{\"name\":\"c\",\"paused\":true}");
    stage.now_ms = next_hour();
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 0);
    stage_run("c", "{}"); /* by hand it goes */
    stage.now_ms += 10;
    const Modelbus__Pipeline__V1__PausePipelineResponse *reply =
        stage_ask("PausePipeline", "{\"name\":\"c\",\"paused\":false}");
    cr_expect_eq(reply->pipeline->next_due_ms, next_hour());
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 1);
    stage_apply(CRON(", disabled: true"));
    stage.now_ms = next_hour();
    stage_tick();
    cr_expect_eq(stage_count_runs("c"), 1);
}

Test(pipeline_time, a_backfill_runs_the_times_that_have_no_run)
{
    stage_apply(CRON(""));
    int64_t first = next_hour();
    stage.now_ms = first;
    stage_tick();
    stage.now_ms += HOUR - 1;
    const char *request = arena_printf(
        stage.f.arena, "{\"name\":\"c\",\"from_ms\":%lld,\"to_ms\":%lld,\"max_runs\":5}",
        (long long)(first - 3 * (int64_t)HOUR), (long long)stage.now_ms);
    const Modelbus__Pipeline__V1__BackfillResponse *reply = stage_ask("Backfill", request);
    cr_expect_eq(reply->n_runs, 3);
    cr_expect_eq(reply->skipped, 1);
    stage_tick();
    cr_expect_eq(stage_poll("w")->n_leases, 4);
    reply = stage_ask("Backfill", request);
    cr_expect_eq(reply->n_runs, 0);
    FAILS(ERR_PRECONDITION,
          stage_call("Backfill",
                     arena_printf(stage.f.arena, "{\"name\":\"c\",\"from_ms\":%lld,\"to_ms\":%lld}",
                                  (long long)(first - 200 * (int64_t)HOUR), (long long)first),
                     NULL));
    FAILS(ERR_INVALID, stage_call("Backfill", "{\"name\":\"c\",\"to_ms\":4}", NULL));
    FAILS(ERR_PRECONDITION,
          stage_call("Backfill", "{\"name\":\"c\",\"from_ms\":5,\"to_ms\":1900000000000}", NULL));
}

Test(pipeline_time, a_backfill_of_one_at_a_time_takes_turns)
{
    stage_apply("concurrency: forbid\n" CRON(""));
    stage_ask("Backfill",
              arena_printf(stage.f.arena, "{\"name\":\"c\",\"from_ms\":%lld,\"to_ms\":%lld}",
                           (long long)(stage.now_ms - 3 * (int64_t)HOUR), (long long)stage.now_ms));
    for (int i = 0; i < 3; i++) {
        stage_tick();
        OK(stage_finish("w", stage_lease("w"), "succeeded"));
    }
    cr_expect_eq(fixture_said(&stage.f, "PipelineFinished"), 3);
}

/* ---- events ---- */

#define ON_DRIFT                                                                                   \
    "name: retrain\nparameters:\n  - {name: endpoint}\n  - {name: from, type: int, default: 0}\n"  \
    "tasks:\n  - {name: a, run: [train, '${params.endpoint}', '${params.from}']}\n"                \
    "triggers:\n  - {name: drift, event: DriftDetected, where: ['endpoint = churn'],"              \
    " parameters: {endpoint: '{endpoint}', from: '{drifted}'}}\n"

static enum err_code
drift(const char *event_id, const char *endpoint)
{
    Modelbus__Monitoring__V1__DriftDetected event = MODELBUS__MONITORING__V1__DRIFT_DETECTED__INIT;

    event.endpoint = (char *)endpoint;
    event.model_name = "m";
    event.drifted = 2;
    return fixture_hear(&stage.f, event_id, &event);
}

Test(pipeline_time, an_event_starts_a_run_once)
{
    stage.now_ms = 1000; /* applied before the event, whose time is the real one */
    stage_apply(ON_DRIFT);
    OK(drift("e1", "fraud"));
    cr_expect_eq(stage_count_runs("retrain"), 0);
    OK(drift("e1", "churn"));
    OK(drift("e1", "churn")); /* delivered again */
    stage_tick();
    cr_expect_eq(stage_count_runs("retrain"), 1);
    const PipelineRun *run = stage_newest("retrain");
    cr_expect_str_eq(run->cause->kind, "event");
    cr_expect_str_eq(run->cause->id, "e1");
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->argv[1], "churn");
    cr_expect_str_eq(lease->argv[2], "2");
    OK(drift("e2", "churn"));
    cr_expect_eq(stage_count_runs("retrain"), 2);
    stage_ask("PausePipeline", "{\"name\":\"retrain\",\"paused\":true}");
    OK(drift("e3", "churn"));
    cr_expect_eq(stage_count_runs("retrain"), 2);
    stage.f.workspace = "lab";
    OK(drift("e4", "churn"));
    cr_expect_eq(stage_count_runs("retrain"), 0);
}

Test(pipeline_time, an_event_that_does_not_fit_is_passed_over)
{
    stage.now_ms = 1000;
    stage_apply("name: p\nparameters:\n  - {name: n, type: int, default: 1}\ntasks:\n"
                "  - {name: a, run: [a]}\ntriggers:\n"
                "  - {name: d, event: DriftDetected, parameters: {n: '{endpoint}'}}\n");
    OK(drift("e1", "churn"));
    cr_expect_eq(stage_count_runs("p"), 0);
}

Test(pipeline_time, an_old_event_triggers_nothing)
{
    stage.now_ms = INT64_MAX / 4;
    stage_apply(ON_DRIFT);
    OK(drift("e1", "churn"));
    cr_expect_eq(stage_count_runs("retrain"), 0);
}

/* The end of the newest run, as the bus would bring it. */
static void
hear_end(const char *event_id)
{
    PipelineFinished *event =
        fixture_last(&stage.f, &modelbus__pipeline__v1__pipeline_finished__descriptor);

    OK(fixture_hear(&stage.f, event_id, event));
    stage_tick();
}

Test(pipeline_time, a_pipeline_follows_another)
{
    stage.now_ms = 1000;
    stage_apply("name: first\ntasks:\n  - {name: a, run: [a]}\n");
    stage_apply("name: then\ntasks:\n  - {name: b, run: [b]}\ntriggers:\n"
                "  - {name: after, pipeline: first}\n");
    stage_apply("name: sorry\ntasks:\n  - {name: c, run: [c]}\ntriggers:\n"
                "  - {name: after, pipeline: first, on: failure}\n");
    stage_run("first", "{}");
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    hear_end("f1");
    cr_expect_eq(stage_count_runs("then"), 1);
    cr_expect_eq(stage_count_runs("sorry"), 0);
    cr_expect_str_eq(stage_newest("then")->cause->kind, "pipeline");
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    stage_run("first", "{}");
    OK(stage_finish("w", stage_lease("w"), "failed"));
    hear_end("f2");
    cr_expect_eq(stage_count_runs("then"), 1);
    cr_expect_eq(stage_count_runs("sorry"), 1);
}

Test(pipeline_time, a_chain_that_never_ends_is_cut)
{
    stage.now_ms = 1000;
    stage_apply("name: ping\ntasks:\n  - {name: a, run: [a]}\ntriggers:\n"
                "  - {name: again, pipeline: pong}\n");
    stage_apply("name: pong\ntasks:\n  - {name: a, run: [a]}\ntriggers:\n"
                "  - {name: again, pipeline: ping}\n");
    stage_run("ping", "{}");
    for (int i = 0; i < 2 * CHANGE_DEPTH_MAX; i++) {
        const PollResponse *response = stage_poll("w");
        if (response->n_leases == 0)
            break;
        stage.now_ms += 5;
        stage.f.traceparent = response->leases[0]->traceparent;
        OK(stage_finish("w", response->leases[0], "succeeded"));
        hear_end(arena_printf(stage.f.arena, "e%d", i));
    }
    cr_expect_eq(stage_count_runs("ping") + stage_count_runs("pong"), CHANGE_DEPTH_MAX);
}

/* Of two that end at once one waits for the other, or another instance's clock is behind. */
Test(pipeline_time, nothing_has_begun_before_what_it_needs_has_ended)
{
    stage_apply("name: p\ntasks:\n  - {name: a, run: [a]}\n  - {name: b, run: [b]}\n"
                "  - {name: c, run: [c], needs: [a, b]}\n");
    const char *id = stage_run("p", "{}");
    const PollResponse *response = stage_poll("w");
    Lease *a = response->leases[0], *b = response->leases[1];
    stage.now_ms += 100;
    OK(stage_finish("w", a, "succeeded"));
    stage.now_ms -= 10;
    OK(stage_finish("w", b, "succeeded"));
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    const PipelineRun *run = stage_get(id);
    cr_assert_str_eq(run->status, "succeeded");
    int64_t ended_ms = 0, began_ms = 0;
    for (size_t i = 0; i < run->n_attempts; i++) {
        const Attempt *attempt = run->attempts[i];
        if (strcmp(attempt->task, "c") == 0)
            began_ms = attempt->started_at_ms;
        else if (attempt->finished_at_ms > ended_ms)
            ended_ms = attempt->finished_at_ms;
    }
    cr_expect_eq(ended_ms, began_ms, "%lld, %lld", (long long)ended_ms, (long long)began_ms);
}

Test(pipeline_time, what_is_over_is_forgotten)
{
    static const struct db_stmt runs = {"SELECT count(*) FROM run"};
    static const struct db_stmt attempts = {"SELECT count(*) FROM attempt"};
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct store store = {.workspace = "", .arena = stage.f.arena};

    stage_apply("name: p\ntasks:\n  - {name: a, run: [a]}\n");
    stage_run("p", "{}");
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    stage_run("p", "{}");
    OK(db_borrow(stage.f.service.db, &db, &stage.f.err));
    store.db = db;
    OK(store_prune(&store, stage.now_ms, stage.now_ms, &stage.f.err));
    cr_expect_eq(fixture_number(&stage.f, &runs), 2);
    OK(store_prune(&store, stage.now_ms + 1, stage.now_ms + 1, &stage.f.err));
    cr_expect_eq(fixture_number(&stage.f, &runs), 1);
    cr_expect_eq(fixture_number(&stage.f, &attempts), 1);
}
