/* SPDX-License-Identifier: Apache-2.0 */
/* test_pipeline_service.c - definitions applied, runs from their start to their end. */
#include "stage.h"

TestSuite(pipeline_service, .init = stage_open, .fini = stage_close);

#define LINE                                                                                       \
    "name: line\n"                                                                                 \
    "parameters:\n"                                                                                \
    "  - {name: depth, type: int, default: 3}\n"                                                   \
    "tasks:\n"                                                                                     \
    "  - {name: prepare, run: [prep, '${params.depth}'], outputs: [data]}\n"                       \
    "  - {name: train, needs: [prepare], run: [train, '${tasks.prepare.outputs.data}'],"           \
    " inputs: {data: '${tasks.prepare.outputs.data}'}}\n"                                          \
    "  - {name: store, needs: [train], run: [store, '${run.id}']}\n"

Test(pipeline_service, a_version_is_made_only_by_a_change)
{
    cr_expect_str_eq(stage_apply(LINE), "created");
    cr_expect_str_eq(stage_apply(LINE), "unchanged");
    cr_expect_str_eq(stage_apply(LINE "description: longer\n"), "changed");
    const Modelbus__Pipeline__V1__GetPipelineResponse *reply =
        stage_ask("GetPipeline", "{\"name\":\"line\"}");
    cr_expect_eq(reply->pipeline->version, 2);
    reply = stage_ask("GetPipeline", "{\"name\":\"line\",\"version\":1}");
    cr_expect_str_eq(reply->pipeline->definition->description, "");
    FAILS(ERR_NOT_FOUND, stage_call("GetPipeline", "{\"name\":\"line\",\"version\":3}", NULL));
    FAILS(ERR_INVALID, stage_call("ApplyPipeline", "{\"text\":\"name: x\\ntasks: 3\"}", NULL));
}

Test(pipeline_service, a_run_goes_from_task_to_task_to_its_end)
{
    stage_apply(LINE);
    const char *run = stage_run("line", "{\"depth\":\"7\"}");
    cr_expect_str_eq(stage_tasks(run), "prepare:ready train:waiting store:waiting");
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->task, "prepare");
    cr_expect_str_eq(lease->argv[1], "7");
    cr_expect_eq(lease->index, -1);
    cr_expect_eq(lease->lease_ms, WORK_LEASE_MS);
    cr_expect_str_eq(stage_tasks(run), "prepare:running train:waiting store:waiting");
    OK(stage_put_out("w", lease, "data", "rows"));
    lease = stage_lease("w");
    cr_expect_str_eq(lease->task, "train");
    cr_expect_str_eq(lease->argv[1], "rows");
    cr_expect_str_eq(lease->inputs[0]->value, "sha256:0000");
    OK(stage_finish("w", lease, "succeeded"));
    lease = stage_lease("w");
    cr_expect_str_eq(lease->argv[1], run);
    OK(stage_finish("w", lease, "succeeded"));
    cr_expect_str_eq(stage_status(run), "succeeded");
    cr_expect_str_eq(stage_tasks(run), "prepare:succeeded train:succeeded store:succeeded");
    cr_expect_eq(fixture_said(&stage.f, "PipelineStarted"), 1);
    cr_expect_eq(fixture_said(&stage.f, "TaskStarted"), 3);
    cr_expect_eq(fixture_said(&stage.f, "TaskFinished"), 3);
    const PipelineFinished *event =
        fixture_last(&stage.f, &modelbus__pipeline__v1__pipeline_finished__descriptor);
    cr_expect_str_eq(event->run, run);
    cr_expect_str_eq(event->status, "succeeded");
    cr_expect_str_eq(event->parameters[0]->value, "7");
    cr_expect_str_eq(event->cause->kind, "manual");
}

Test(pipeline_service, a_finish_brings_the_next_lease)
{
    FinishRequest request = MODELBUS__PIPELINE__V1__FINISH_TASKS_REQUEST__INIT;
    TaskEnding ending = MODELBUS__PIPELINE__V1__TASK_ENDING__INIT, *endings[] = {&ending};
    FinishResponse response;

    stage_apply(
        "name: two\ntasks:\n  - {name: a, run: [a]}\n  - {name: b, run: [b], needs: [a]}\n");
    stage_run("two", "{}");
    request.worker = "w";
    request.instance = "first";
    request.endings = endings;
    request.n_endings = 1;
    ending.lease = stage_lease("w")->lease;
    ending.status = "succeeded";
    OK(fixture_call(&stage.f, "FinishTasks", &request, &response));
    cr_assert_eq(response.n_leases, 1);
    cr_expect_str_eq(response.leases[0]->task, "b");
    /* The same again changes nothing. */
    OK(fixture_call(&stage.f, "FinishTasks", &request, &response));
    cr_expect_eq(response.n_refused, 0);
    cr_expect_eq(fixture_said(&stage.f, "TaskFinished"), 1);
}

Test(pipeline_service, a_run_keeps_the_version_that_it_began_with)
{
    stage_apply(
        "name: p\ntasks:\n  - {name: a, run: [a]}\n  - {name: b, run: [old], needs: [a]}\n");
    const char *run = stage_run("p", "{}");
    stage_apply("name: p\ntasks:\n  - {name: a, run: [a]}\n");
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    cr_expect_str_eq(stage_lease("w")->argv[0], "old");
    cr_expect_eq(stage_get(run)->version, 1);
}

Test(pipeline_service, parameters_are_checked)
{
    stage_apply(LINE);
    FAILS(ERR_INVALID,
          stage_call("StartRun", "{\"name\":\"line\",\"parameters\":{\"depth\":\"x\"}}", NULL));
    FAILS(ERR_INVALID,
          stage_call("StartRun", "{\"name\":\"line\",\"parameters\":{\"depht\":\"1\"}}", NULL));
    FAILS(ERR_NOT_FOUND, stage_call("StartRun", "{\"name\":\"none\"}", NULL));
}

Test(pipeline_service, what_fails_is_tried_again_after_its_backoff)
{
    stage_apply("name: r\ntasks:\n  - {name: a, run: [a, '${task.attempt}'],"
                " retries: {count: 2, base_s: 10, factor: 3}}\n");
    const char *run = stage_run("r", "{}");
    OK(stage_finish("w", stage_lease("w"), "failed"));
    cr_expect_eq(stage_poll("w")->n_leases, 0);
    stage.now_ms += 9999;
    cr_expect_eq(stage_poll("w")->n_leases, 0);
    stage.now_ms += 1;
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->argv[1], "2");
    OK(stage_finish("w", lease, "failed"));
    const TaskFinished *event =
        fixture_last(&stage.f, &modelbus__pipeline__v1__task_finished__descriptor);
    cr_expect(event->retried);
    stage.now_ms += 30000;
    OK(stage_finish("w", stage_lease("w"), "failed"));
    event = fixture_last(&stage.f, &modelbus__pipeline__v1__task_finished__descriptor);
    cr_expect_not(event->retried);
    cr_expect_str_eq(stage_status(run), "failed");
    cr_expect_str_eq(stage_get(run)->reason, "a failed: exit code 1");
    cr_expect_eq(stage_get(run)->n_attempts, 3);
}

Test(pipeline_service, failures_go_to_those_that_ask_for_them)
{
    stage_apply("name: f\ntasks:\n"
                "  - {name: a, run: [a]}\n"
                "  - {name: b, run: [b], needs: [a]}\n"
                "  - {name: tidy, run: [t], needs: [a], run_on: failure}\n"
                "  - {name: report, run: [r], needs: [b], run_on: always}\n"
                "  - {name: other, run: [o]}\n");
    const char *run = stage_run("f", "{}");
    const PollResponse *response = stage_poll("w");
    cr_assert_eq(response->n_leases, 2);
    OK(stage_finish("w", response->leases[0], "failed"));
    OK(stage_finish("w", response->leases[1], "succeeded"));
    cr_expect_eq(stage_work("w", "succeeded"), 2);
    cr_expect_str_eq(stage_tasks(run), "a:failed b:skipped tidy:succeeded report:succeeded"
                                       " other:succeeded");
    cr_expect_str_eq(stage_status(run), "failed");
}

Test(pipeline_service, conditions_decide_what_runs)
{
    stage_apply("name: c\nparameters:\n  - {name: mode, default: fast}\ntasks:\n"
                "  - {name: evaluate, run: [e], outputs: [auc]}\n"
                "  - {name: good, run: [g], needs: [evaluate],"
                " when: ['tasks.evaluate.outputs.auc >= 0.9', 'params.mode = fast']}\n"
                "  - {name: full, run: [f], when: ['params.mode = full']}\n");
    const char *run = stage_run("c", "{}");
    OK(stage_put_out("w", stage_lease("w"), "auc", "0.93"));
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    cr_expect_str_eq(stage_tasks(run), "evaluate:succeeded good:succeeded full:skipped");
    cr_expect_str_eq(stage_status(run), "succeeded");
    run = stage_run("c", "{}");
    OK(stage_put_out("w", stage_lease("w"), "auc", "0.5"));
    cr_expect_str_eq(stage_tasks(run), "evaluate:succeeded good:skipped full:skipped");
}

Test(pipeline_service, a_map_keeps_its_parallelism_and_gathers_outputs)
{
    stage_apply(
        "name: m\nparameters:\n  - {name: grid, type: list, default_list: [a, b, c]}\ntasks:\n"
        "  - {name: fit, run: [fit, '${item}', '${index}'], outputs: [auc],"
        " map: {over: '${params.grid}', parallelism: 2}}\n"
        "  - {name: best, run: [best, '${tasks.fit.outputs.auc}'], needs: [fit]}\n");
    const char *run = stage_run("m", "{}");
    const PollResponse *response = stage_poll("w");
    cr_assert_eq(response->n_leases, 2);
    cr_expect_str_eq(response->leases[0]->argv[1], "a");
    cr_expect_str_eq(response->leases[1]->argv[1], "b");
    cr_expect_str_eq(response->leases[1]->argv[2], "1");
    OK(stage_put_out("w", response->leases[1], "auc", "0.2"));
    Lease *third = stage_lease("w");
    cr_expect_str_eq(third->argv[1], "c");
    OK(stage_put_out("w", response->leases[0], "auc", "0.1"));
    OK(stage_put_out("w", third, "auc", "0.3"));
    cr_expect_str_eq(stage_lease("w")->argv[1], "[\"0.1\",\"0.2\",\"0.3\"]");
    cr_expect_eq(stage_get(run)->tasks[0]->items, 3);
    cr_expect_eq(stage_get(run)->tasks[0]->succeeded, 3);
}

Test(pipeline_service, what_cannot_be_filled_in_fails_the_task_only)
{
    stage_apply("name: b\ntasks:\n  - {name: a, run: [a], outputs: [list]}\n"
                "  - {name: m, run: [m], needs: [a], map: {over: '${tasks.a.outputs.list}'}}\n");
    const char *run = stage_run("b", "{}");
    OK(stage_put_out("w", stage_lease("w"), "list", "no list"));
    cr_expect_str_eq(stage_tasks(run), "a:succeeded m:failed");
    cr_expect_str_eq(stage_status(run), "failed");
    run = stage_run("b", "{}");
    OK(stage_put_out("w", stage_lease("w"), "list", "[]"));
    cr_expect_str_eq(stage_tasks(run), "a:succeeded m:succeeded");
}

Test(pipeline_service, cancelling_ends_what_is_ready_and_asks_what_runs)
{
    stage_apply("name: x\ntasks:\n  - {name: a, run: [a], resources: {cpu: 3}}\n"
                "  - {name: b, run: [b], resources: {cpu: 3}}\n"
                "  - {name: c, run: [c], needs: [a]}\n");
    const char *run = stage_run("x", "{}");
    Lease *lease = stage_lease("w"); /* the other does not fit beside it */
    stage_ask("CancelRun", arena_printf(stage.f.arena, "{\"run\":\"%s\",\"reason\":\"no\"}", run));
    cr_expect_str_eq(stage_status(run), "cancelling");
    const PollResponse *response = stage_poll("w");
    cr_assert_eq(response->n_cancelled, 1);
    cr_expect_str_eq(response->cancelled[0], lease->lease);
    cr_expect_eq(response->n_leases, 0);
    OK(stage_finish("w", lease, "cancelled"));
    cr_expect_str_eq(stage_status(run), "cancelled");
    cr_expect_str_eq(stage_tasks(run), "a:cancelled b:cancelled c:cancelled");
    FAILS(ERR_PRECONDITION,
          stage_call("CancelRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run), NULL));
}

Test(pipeline_service, resuming_keeps_what_succeeded)
{
    stage_apply(LINE);
    const char *run = stage_run("line", "{}");
    OK(stage_put_out("w", stage_lease("w"), "data", "rows"));
    OK(stage_finish("w", stage_lease("w"), "failed"));
    cr_expect_str_eq(stage_tasks(run), "prepare:succeeded train:failed store:skipped");
    stage_ask("ResumeRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run));
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->task, "train");
    cr_expect_eq(lease->attempt, 2);
    cr_expect_str_eq(lease->argv[1], "rows");
    OK(stage_finish("w", lease, "succeeded"));
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    cr_expect_str_eq(stage_status(run), "succeeded");
    FAILS(ERR_PRECONDITION,
          stage_call("ResumeRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run), NULL));
    stage_ask("ResumeRun", arena_printf(stage.f.arena, "{\"run\":\"%s\",\"task\":\"train\"}", run));
    cr_expect_str_eq(stage_tasks(run), "prepare:succeeded train:ready store:waiting");
}

Test(pipeline_service, resuming_a_map_repeats_its_failed_items)
{
    stage_apply("name: m\ntasks:\n  - {name: fit, run: [fit, '${item}'],"
                " map: {items: [a, b, c], parallelism: 1}}\n");
    const char *run = stage_run("m", "{}");
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    OK(stage_finish("w", stage_lease("w"), "failed"));
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    cr_expect_str_eq(stage_status(run), "failed");
    stage_ask("ResumeRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run));
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->argv[1], "b");
    OK(stage_finish("w", lease, "succeeded"));
    cr_expect_str_eq(stage_status(run), "succeeded");
    cr_expect_eq(stage_get(run)->tasks[0]->succeeded, 3);
}

Test(pipeline_service, outputs_are_remembered)
{
    stage_apply("name: k\nparameters:\n  - {name: day, default: monday}\ntasks:\n"
                "  - {name: load, run: [load, '${params.day}'], outputs: [rows],"
                " cache: {max_age_s: 60}}\n"
                "  - {name: use, run: [use, '${tasks.load.outputs.rows}'], needs: [load]}\n");
    stage_run("k", "{}");
    OK(stage_put_out("w", stage_lease("w"), "rows", "12"));
    OK(stage_finish("w", stage_lease("w"), "succeeded"));
    const char *run = stage_run("k", "{}");
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->task, "use");
    cr_expect_str_eq(lease->argv[1], "12");
    cr_expect(stage_get(run)->tasks[0]->cached);
    OK(stage_finish("w", lease, "succeeded"));
    stage_run("k", "{\"day\":\"tuesday\"}");
    lease = stage_lease("w");
    cr_expect_str_eq(lease->task, "load");
    OK(stage_finish("w", lease, "failed"));
    stage.now_ms += 60001;
    stage_run("k", "{}");
    cr_expect_str_eq(stage_lease("w")->task, "load");
}

Test(pipeline_service, a_run_and_an_attempt_have_their_time)
{
    stage_apply("name: t\ntimeout_s: 100\ntasks:\n"
                "  - {name: a, run: [a], timeout_s: 20, retries: {count: 1}}\n");
    const char *run = stage_run("t", "{}");
    Lease *lease = stage_lease("w");
    stage.now_ms += 20000 + WORK_STOP_MS - 1;
    cr_expect_eq(stage_poll("w")->n_cancelled, 0);
    stage.now_ms += 1;
    stage_tick();
    cr_expect_eq(stage_poll("w")->n_cancelled, 1);
    OK(stage_finish("w", lease, "cancelled"));
    stage.now_ms += 1000;
    lease = stage_lease("w"); /* that counts as a failure */
    cr_expect_eq(lease->attempt, 2);
    cr_expect_str_eq(stage_get(run)->attempts[0]->reason, ADVANCE_TIMEOUT);
    stage.now_ms += 70000;
    stage_tick();
    stage_tick();
    cr_expect_str_eq(stage_status(run), "failed");
    cr_expect_str_eq(stage_get(run)->reason, ADVANCE_TIMEOUT);
}

Test(pipeline_service, a_pipeline_is_deleted_with_its_runs_when_none_is_active)
{
    stage_apply(LINE);
    const char *run = stage_run("line", "{}");
    FAILS(ERR_PRECONDITION, stage_call("DeletePipeline", "{\"name\":\"line\"}", NULL));
    OK(stage_finish("w", stage_lease("w"), "failed"));
    stage_ask("DeletePipeline", "{\"name\":\"line\"}");
    FAILS(ERR_NOT_FOUND, stage_call("GetPipeline", "{\"name\":\"line\"}", NULL));
    FAILS(ERR_NOT_FOUND,
          stage_call("GetPipelineRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run), NULL));
}

Test(pipeline_service, a_workspace_sees_its_own_only)
{
    stage_apply(LINE);
    const char *run = stage_run("line", "{}");
    stage.f.workspace = "lab";
    FAILS(ERR_NOT_FOUND, stage_call("GetPipeline", "{\"name\":\"line\"}", NULL));
    FAILS(ERR_NOT_FOUND,
          stage_call("CancelRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run), NULL));
    cr_expect_eq(stage_poll("w")->n_leases, 0);
    stage.f.workspace = "default";
    cr_expect_eq(stage_poll("w")->n_leases, 1);
}
