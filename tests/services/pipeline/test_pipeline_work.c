/* SPDX-License-Identifier: Apache-2.0 */
/* test_pipeline_work.c - workers: leases, heartbeats, capacity, logs. */
#include "stage.h"

#include "metrics/metrics.h"

TestSuite(pipeline_work, .init = stage_open, .fini = stage_close);

#define ONE "name: one\ntasks:\n  - {name: a, run: [a]}\n"

typedef Modelbus__Pipeline__V1__ReadTaskLogResponse ReadLogResponse;
typedef Modelbus__Pipeline__V1__WriteTaskLogResponse WriteLogResponse;

static const char *
attempts_of(const char *id)
{
    const PipelineRun *run = stage_get(id);
    const char *text = "";

    for (size_t i = 0; i < run->n_attempts; i++)
        text = arena_printf(stage.f.arena, "%s%s%s@%s", text, i ? " " : "",
                            run->attempts[i]->status, run->attempts[i]->worker);
    return text;
}

Test(pipeline_work, a_lease_lasts_as_long_as_it_is_named)
{
    stage_apply(ONE);
    const char *run = stage_run("one", "{}");
    Lease *lease = stage_lease("w");
    for (int i = 0; i < 4; i++) {
        stage.now_ms += WORK_LEASE_MS - 1;
        cr_expect_eq(stage_poll("w")->n_lost, 0);
        stage_tick();
    }
    OK(stage_finish("w", lease, "succeeded"));
    cr_expect_str_eq(attempts_of(run), "succeeded@w");
}

Test(pipeline_work, a_lost_lease_runs_elsewhere_and_its_late_end_is_refused)
{
    stage_apply(ONE);
    const char *run = stage_run("one", "{}");
    Lease *lost = stage_lease("gone");
    stage.now_ms += WORK_LEASE_MS + 1;
    cr_expect_eq(stage_tick(), 1);
    cr_expect_str_eq(attempts_of(run), "lost@gone ready@");
    Lease *lease = stage_lease("w");
    cr_expect_eq(lease->attempt, 2);
    FAILS(ERR_PRECONDITION, stage_finish("gone", lost, "succeeded"));
    FAILS(ERR_PRECONDITION, stage_finish("gone", lease, "succeeded"));
    OK(stage_finish("w", lease, "succeeded"));
    FAILS(ERR_PRECONDITION, stage_finish("gone", lost, "succeeded"));
    cr_expect_str_eq(attempts_of(run), "lost@gone succeeded@w");
    cr_expect_str_eq(stage_status(run), "succeeded");
    /* Its next poll hears of it. */
    const char *const named[] = {lost->lease, NULL};
    const PollResponse *response = stage_poll_as("gone", "first", named);
    cr_assert_eq(response->n_lost, 1);
    cr_expect_str_eq(response->lost[0], lost->lease);
}

Test(pipeline_work, vanished_workers_use_up_no_retries_but_are_bounded)
{
    stage_apply(ONE);
    const char *run = stage_run("one", "{}");
    for (int i = 0; i <= ADVANCE_LOSSES_MAX; i++) {
        cr_expect_str_eq(stage_status(run), "running");
        stage_lease("gone");
        stage.held_count = 0;
        stage.now_ms += WORK_LEASE_MS + 1;
        stage_tick();
    }
    cr_expect_str_eq(stage_status(run), "failed");
    cr_expect_str_eq(stage_get(run)->reason, "a failed: its worker vanished");
}

Test(pipeline_work, an_outage_of_the_service_costs_no_lease)
{
    stage_apply(ONE);
    OK(scheduler_appear(stage.state.scheduler, &stage.f.err));
    const char *run = stage_run("one", "{}");
    Lease *lease = stage_lease("w");
    stage.now_ms += 10 * WORK_LEASE_MS;
    OK(scheduler_appear(stage.state.scheduler, &stage.f.err));
    cr_expect_eq(stage_tick(), 0);
    stage.now_ms += WORK_LEASE_MS;
    cr_expect_eq(stage_tick(), 0);
    cr_expect_eq(stage_poll("w")->n_lost, 0);
    OK(stage_finish("w", lease, "succeeded"));
    cr_expect_str_eq(attempts_of(run), "succeeded@w");
    /* Of a worker that vanished meanwhile it is over all the same. */
    OK(scheduler_appear(stage.state.scheduler, &stage.f.err));
    run = stage_run("one", "{}");
    stage_lease("gone");
    stage.now_ms += 10 * WORK_LEASE_MS;
    OK(scheduler_appear(stage.state.scheduler, &stage.f.err));
    stage.now_ms += WORK_LEASE_MS + 1;
    cr_expect_eq(stage_tick(), 1);
    cr_expect_str_eq(attempts_of(run), "lost@gone ready@");
}

Test(pipeline_work, an_answer_that_got_lost_is_given_again)
{
    stage_apply(ONE);
    stage_run("one", "{}");
    const PollResponse *response = stage_poll_as("w", "first", NULL);
    cr_assert_eq(response->n_leases, 1);
    const char *lease = response->leases[0]->lease;
    cr_expect_eq(stage_poll_as("w", "first", NULL)->n_leases, 0); /* it may be on its way */
    stage.now_ms += WORK_LOST_REPLY_MS + 1;
    response = stage_poll_as("w", "first", NULL);
    cr_assert_eq(response->n_leases, 1);
    cr_expect_str_eq(response->leases[0]->lease, lease);
    cr_expect_str_eq(response->leases[0]->argv[0], "a");
    cr_expect_eq(fixture_said(&stage.f, "TaskStarted"), 1);
}

Test(pipeline_work, another_instance_takes_over)
{
    stage_apply(ONE);
    const char *run = stage_run("one", "{}");
    Lease *lost = stage_lease("w");
    cr_expect_eq(stage_poll_as("w", "second", NULL)->n_leases, 0);
    stage_tick();
    const PollResponse *response = stage_poll_as("w", "second", NULL);
    cr_assert_eq(response->n_leases, 1);
    cr_expect_str_neq(response->leases[0]->lease, lost->lease);
    FAILS(ERR_PRECONDITION, stage_finish("w", lost, "succeeded"));
    PollRequest request = MODELBUS__PIPELINE__V1__POLL_TASKS_REQUEST__INIT;
    PollResponse refused;
    request.worker = "w";
    request.instance = "first";
    FAILS(ERR_PRECONDITION, fixture_call(&stage.f, "PollTasks", &request, &refused));
    cr_expect_str_eq(attempts_of(run), "lost@w running@w");
}

Test(pipeline_work, a_worker_that_stops_gives_back_what_it_has)
{
    stage_apply(ONE);
    const char *run = stage_run("one", "{}");
    Lease *lease = stage_lease("w");
    stage_ask("DrainWorker", "{\"worker\":\"w\",\"draining\":true}");
    OK(stage_finish("w", lease, "cancelled"));
    cr_expect_str_eq(attempts_of(run), "cancelled@w ready@");
    cr_expect_str_eq(stage_status(run), "running");
}

Test(pipeline_work, workers_get_what_fits_them)
{
    stage_apply("name: fit\ntasks:\n"
                "  - {name: big, run: [x], resources: {cpu: 5}}\n"
                "  - {name: gpu, run: [x], resources: {gpu: 1}}\n"
                "  - {name: special, run: [x], labels: {zone: north}}\n"
                "  - {name: wide, run: [x], resources: {memory_mb: 3000}}\n"
                "  - {name: wider, run: [x], resources: {memory_mb: 3001}}\n");
    stage_run("fit", "{}");
    Lease *lease = stage_lease("w");
    cr_expect_str_eq(lease->task, "wide");
    OK(stage_finish("w", lease, "succeeded"));
    cr_expect_str_eq(stage_lease("w")->task, "wider");
    PollRequest request = MODELBUS__PIPELINE__V1__POLL_TASKS_REQUEST__INIT;
    Modelbus__Pipeline__V1__PollTasksRequest__LabelsEntry label =
        MODELBUS__PIPELINE__V1__POLL_TASKS_REQUEST__LABELS_ENTRY__INIT;
    Modelbus__Pipeline__V1__PollTasksRequest__LabelsEntry *labels[] = {&label};
    Resources capacity = MODELBUS__PIPELINE__V1__RESOURCES__INIT;
    PollResponse response;
    label.key = "zone";
    label.value = "north";
    capacity.cpu = 1;
    capacity.memory_mb = 300;
    request.worker = "north";
    request.instance = "first";
    request.capacity = &capacity;
    request.labels = labels;
    request.n_labels = 1;
    OK(fixture_call(&stage.f, "PollTasks", &request, &response));
    cr_assert_eq(response.n_leases, 1);
    cr_expect_str_eq(response.leases[0]->task, "special");
}

Test(pipeline_work, a_drained_worker_gets_nothing_more)
{
    stage_apply(ONE);
    FAILS(ERR_NOT_FOUND, stage_call("DrainWorker", "{\"worker\":\"w\",\"draining\":true}", NULL));
    stage_poll("w");
    stage_ask("DrainWorker", "{\"worker\":\"w\",\"draining\":true}");
    stage_run("one", "{}");
    const PollResponse *response = stage_poll("w");
    cr_expect_eq(response->n_leases, 0);
    cr_expect(response->draining);
    const Modelbus__Pipeline__V1__ListWorkersResponse *list = stage_ask("ListWorkers", "{}");
    cr_assert_eq(list->n_workers, 1);
    cr_expect(list->workers[0]->draining);
    stage_ask("DrainWorker", "{\"worker\":\"w\",\"draining\":false}");
    cr_expect_eq(stage_poll("w")->n_leases, 1);
}

Test(pipeline_work, workers_are_bounded_in_what_they_say)
{
    FAILS(ERR_INVALID, stage_call("PollTasks", "{\"worker\":\"w\"}", NULL));
    FAILS(
        ERR_INVALID,
        stage_call("PollTasks", "{\"worker\":\"w\",\"instance\":\"1\",\"leases\":[\"x\"]}", NULL));
    FAILS(ERR_INVALID,
          stage_call("PollTasks",
                     "{\"worker\":\"w\",\"instance\":\"1\",\"capacity\":{\"cpu\":\"NaN\"}}", NULL));
    FAILS(ERR_INVALID,
          stage_call("FinishTasks",
                     "{\"worker\":\"w\",\"instance\":\"1\",\"endings\":[{\"status\":\"lost\","
                     "\"lease\":\"01a1fea8-d782-7659-b4a2-165717dd688c\"}]}",
                     NULL));
    FAILS(ERR_INVALID, stage_call("FinishTasks",
                                  "{\"worker\":\"w\",\"instance\":\"1\",\"endings\":"
                                  "[{\"status\":\"failed\",\"lease\":\"x\"}]}",
                                  NULL));
}

Test(pipeline_work, ends_are_taken_together_but_for_those_that_are_refused)
{
    FinishRequest request = MODELBUS__PIPELINE__V1__FINISH_TASKS_REQUEST__INIT;
    TaskEnding ending[6], *endings[6];
    FinishResponse response;

    for (size_t i = 0; i < 6; i++)
        modelbus__pipeline__v1__task_ending__init(&ending[i]);
    stage_apply("name: two\ntasks:\n  - {name: a, run: [a]}\n  - {name: b, run: [b]}\n"
                "  - {name: c, run: [c], needs: [a, b]}\n");
    stage_run("two", "{}");
    Lease *const *first = stage_poll("w")->leases;
    stage_run("two", "{}");
    Lease *const *others = stage_poll("v")->leases;
    stage_run("two", "{}");
    Lease *const *second = stage_poll("w")->leases;
    ending[0].lease = second[0]->lease;
    ending[1].lease = first[0]->lease;
    ending[2].lease = others[0]->lease;
    ending[3].lease = first[1]->lease;
    ending[4].lease = first[0]->lease;                        /* named twice */
    ending[5].lease = "01a1fea8-d782-7659-b4a2-165717dd688c"; /* nobody's */
    for (size_t i = 0; i < 6; i++) {
        endings[i] = &ending[i];
        ending[i].status = i == 4 ? "failed" : "succeeded";
    }
    request.worker = "w";
    request.instance = "first";
    request.endings = endings;
    request.n_endings = 6;
    OK(fixture_call(&stage.f, "FinishTasks", &request, &response));
    cr_assert_eq(response.n_refused, 3);
    cr_expect_str_eq(response.refused[0]->lease, ending[4].lease);
    cr_expect_str_eq(response.refused[1]->lease, ending[5].lease);
    cr_expect_str_eq(response.refused[2]->lease, ending[2].lease);
    cr_expect_eq(fixture_said(&stage.f, "TaskFinished"), 3);
    /* What waited for the first run's. */
    cr_assert_eq(response.n_leases, 1);
    cr_expect_str_eq(response.leases[0]->task, "c");
    cr_expect_str_eq(response.leases[0]->run, first[0]->run);
    cr_expect_str_eq(stage_tasks(first[0]->run), "a:succeeded b:succeeded c:running");
    cr_expect_str_eq(stage_tasks(others[0]->run), "a:running b:running c:waiting");
}

static enum err_code
write_log(const char *worker, const char *lease, uint64_t offset, const char *text, uint64_t *next)
{
    Modelbus__Pipeline__V1__WriteTaskLogRequest request =
        MODELBUS__PIPELINE__V1__WRITE_TASK_LOG_REQUEST__INIT;
    WriteLogResponse response;

    request.worker = (char *)worker;
    request.lease = (char *)lease;
    request.offset = offset;
    request.data = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    enum err_code code = fixture_call(&stage.f, "WriteTaskLog", &request, &response);
    *next = response.next_offset;
    return code;
}

static const ReadLogResponse *
read_log(const char *run, uint64_t offset)
{
    return stage_ask("ReadTaskLog",
                     arena_printf(stage.f.arena, "{\"run\":\"%s\",\"task\":\"a\",\"offset\":%llu}",
                                  run, (unsigned long long)offset));
}

Test(pipeline_work, logs_are_appended_once_and_followed)
{
    uint64_t next;

    stage_apply(ONE);
    const char *run = stage_run("one", "{}");
    cr_expect_not(read_log(run, 0)->ended);
    Lease *lease = stage_lease("w");
    OK(write_log("w", lease->lease, 0, "hello ", &next));
    cr_expect_eq(next, 6);
    OK(write_log("w", lease->lease, 0, "hello ", &next)); /* the answer got lost */
    OK(write_log("w", lease->lease, 3, "lo world", &next));
    cr_expect_eq(next, 11);
    FAILS(ERR_INVALID, write_log("w", lease->lease, 12, "gap", &next));
    FAILS(ERR_PRECONDITION, write_log("other", lease->lease, 11, "x", &next));
    const ReadLogResponse *log = read_log(run, 0);
    cr_assert_eq(log->data.len, 11);
    cr_expect_eq(memcmp(log->data.data, "hello world", 11), 0);
    cr_expect_eq(read_log(run, INT64_MAX - 1)->data.len, 0);
    cr_expect_eq(read_log(run, 4)->data.len, 7);
    cr_expect_eq(read_log(run, 4)->data.data[0], 'o');
    cr_expect_not(read_log(run, 11)->ended);
    OK(stage_finish("w", lease, "succeeded"));
    FAILS(ERR_PRECONDITION, write_log("w", lease->lease, 11, "late", &next));
    cr_expect(read_log(run, 11)->ended);
    cr_expect_not(read_log(run, 0)->ended);
}

static struct measures
measured(void)
{
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct measures measures;

    OK(db_borrow(stage.f.service.db, &db, &stage.f.err));
    const struct store store = {.db = db, .workspace = "", .arena = stage.f.arena};
    OK(store_measure(&store, stage.now_ms, stage.now_ms - WORK_SEEN_MS, &measures, &stage.f.err));
    return measures;
}

Test(pipeline_work, what_waits_and_who_asks_for_it_is_measured)
{
    stage_apply(ONE);
    stage_run("one", "{}");
    int64_t since_ms = stage.now_ms;
    stage.now_ms += 5000;
    struct measures m = measured();
    cr_expect_eq(m.ready, 1);
    cr_expect_eq(m.oldest_ready_ms, since_ms);
    cr_expect_eq(m.active_runs, 1);
    cr_expect_eq(m.workers, 0);
    stage_lease("w");
    stage_poll("another");
    m = measured();
    cr_expect_eq(m.ready, 0);
    cr_expect_eq(m.running, 1);
    cr_expect_eq(m.workers, 2);
    stage_ask("DrainWorker", "{\"worker\":\"another\",\"draining\":true}");
    cr_expect_eq(measured().workers, 1);
    stage.now_ms += WORK_SEEN_MS;
    cr_expect_eq(measured().workers, 0);
}

Test(pipeline_work, ends_of_runs_and_lost_attempts_are_counted)
{
    struct metric *failed =
        metrics_counter("modelbus_pipeline_runs_total", "", "status", "failed", NULL);
    struct metric *succeeded =
        metrics_counter("modelbus_pipeline_runs_total", "", "status", "succeeded", NULL);
    struct metric *lost = metrics_counter("modelbus_pipeline_attempts_lost_total", "", NULL);

    stage_apply(ONE);
    stage_run("one", "{}");
    OK(stage_finish("w", stage_lease("w"), "failed"));
    stage_run("one", "{}");
    stage_lease("w");
    stage.now_ms += WORK_LEASE_MS + 1;
    stage_tick();
    cr_expect_eq(metric_value(failed), 1);
    cr_expect_eq(metric_value(lost), 1);
    OK(stage_finish("v", stage_lease("v"), "succeeded"));
    cr_expect_eq(metric_value(succeeded), 1);
    cr_expect_eq(metric_value(failed), 1);
}
