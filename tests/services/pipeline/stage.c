/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c - handlers, workers, a clock. */
#include "stage.h"

#include "pbjson/pbjson.h"

#include <stdlib.h>

#define BEGIN_MS INT64_C(1795000000000)

struct stage stage;

static int64_t
moved_clock(void)
{
    return stage.now_ms;
}

void
stage_open(void)
{
    static const struct service_spec spec = {
        .name = "pipeline",
        .config_target = &stage.settings,
        .schema = pipeline_schema,
        .subscriptions = pipeline_events,
        .interface = &modelbus__pipeline__v1__pipelines__descriptor,
        .methods = pipeline_queries,
    };

    pipeline_subscribe();
    stage.held_count = 0;
    stage.now_ms = BEGIN_MS;
    stage.settings.max_event_age_s = INT64_C(100) * 365 * 86400;
    fixture_open(&stage.f, &spec);
    stage.state = (struct pipeline_state){
        .service = &stage.f.service, .triggers = triggers_new(), .clock = moved_clock};
    const struct scheduler_options options = {
        .state = &stage.state, .retention_ms = 86400000, .log_retention_ms = 3600000};
    stage.state.scheduler = scheduler_new(&options);
    stage.f.service.state = &stage.state;
}

void
stage_close(void)
{
    cr_expect(scheduler_free(stage.state.scheduler, INT64_MAX));
    triggers_free(stage.state.triggers);
    fixture_close(&stage.f);
}

size_t
stage_tick_by(struct scheduler *scheduler)
{
    size_t steps = 0;
    bool did;

    for (;;) {
        OK(scheduler_step(scheduler, &did, &stage.f.err));
        if (!did)
            return steps;
        cr_assert_lt(++steps, 2000, "the scheduler does not come to rest");
    }
}

size_t
stage_tick(void)
{
    return stage_tick_by(stage.state.scheduler);
}

enum err_code
stage_call(const char *method, const char *request, void **reply)
{
    const ProtobufCMethodDescriptor *types = protobuf_c_service_descriptor_get_method_by_name(
        &modelbus__pipeline__v1__pipelines__descriptor, method);
    ProtobufCMessage *asked, *answer;

    cr_assert(types, "no method %s", method);
    answer = arena_alloc(stage.f.arena, types->output->sizeof_message);
    OK(pbjson_read(types->input, request, strlen(request), 0, stage.f.arena, &asked, &stage.f.err));
    enum err_code code = fixture_call(&stage.f, method, asked, answer);
    if (reply)
        *reply = answer;
    return code;
}

void *
stage_ask(const char *method, const char *request)
{
    void *reply = NULL;

    cr_assert_eq(stage_call(method, request, &reply), ERR_OK, "%s %s: %s", method, request,
                 stage.f.err.message);
    return reply;
}

const char *
stage_apply(const char *yaml)
{
    Modelbus__Pipeline__V1__ApplyPipelineRequest request =
        MODELBUS__PIPELINE__V1__APPLY_PIPELINE_REQUEST__INIT;
    Modelbus__Pipeline__V1__ApplyPipelineResponse response;

    request.text = (char *)yaml;
    OK(fixture_call(&stage.f, "ApplyPipeline", &request, &response));
    return response.outcome;
}

const char *
stage_run(const char *pipeline, const char *parameters)
{
    const StartRunResponse *reply =
        stage_ask("StartRun", arena_printf(stage.f.arena, "{\"name\":\"%s\",\"parameters\":%s}",
                                           pipeline, parameters));

    return reply->run->run;
}

PipelineRun *
stage_get(const char *run)
{
    const GetRunResponse *reply =
        stage_ask("GetPipelineRun", arena_printf(stage.f.arena, "{\"run\":\"%s\"}", run));

    return reply->run;
}

const char *
stage_status(const char *run)
{
    return stage_get(run)->status;
}

const char *
stage_tasks(const char *id)
{
    const PipelineRun *run = stage_get(id);
    const char *text = "";

    for (size_t i = 0; i < run->n_tasks; i++)
        text = arena_printf(stage.f.arena, "%s%s%s:%s", text, i ? " " : "", run->tasks[i]->task,
                            run->tasks[i]->status);
    return text;
}

static const Modelbus__Pipeline__V1__ListPipelineRunsResponse *
list(const char *pipeline)
{
    return stage_ask("ListPipelineRuns",
                     arena_printf(stage.f.arena, "{\"pipeline\":\"%s\"}", pipeline));
}

PipelineRun *
stage_newest(const char *pipeline)
{
    return list(pipeline)->n_runs ? list(pipeline)->runs[0] : NULL;
}

size_t
stage_count_runs(const char *pipeline)
{
    return list(pipeline)->n_runs;
}

/* ---- workers ---- */

/* A worker names what it has, and a finish may bring more of it. */
static void
remember(const char *worker, Lease *lease, bool brought)
{
    cr_assert_lt(stage.held_count, HELD_MAX);
    stage.held[stage.held_count++] = (struct held_lease){worker, lease, brought};
}

static void
forget(const char *lease)
{
    for (size_t i = 0; i < stage.held_count; i++)
        if (strcmp(stage.held[i].lease->lease, lease) == 0)
            stage.held[i--] = stage.held[--stage.held_count];
}

static bool
is_held(const char *lease)
{
    for (size_t i = 0; i < stage.held_count; i++)
        if (strcmp(stage.held[i].lease->lease, lease) == 0)
            return true;
    return false;
}

PollResponse *
stage_poll_as(const char *worker, const char *instance, const char *const *leases)
{
    PollRequest request = MODELBUS__PIPELINE__V1__POLL_TASKS_REQUEST__INIT;
    Resources capacity = MODELBUS__PIPELINE__V1__RESOURCES__INIT;
    PollResponse *response = arena_alloc(stage.f.arena, sizeof(*response));

    capacity.cpu = 4;
    capacity.memory_mb = 4096;
    request.worker = (char *)worker;
    request.instance = (char *)instance;
    request.capacity = &capacity;
    request.leases = (char **)leases;
    while (leases && leases[request.n_leases])
        request.n_leases++;
    OK(fixture_call(&stage.f, "PollTasks", &request, response));
    return response;
}

PollResponse *
stage_poll(const char *worker)
{
    const char *named[HELD_MAX + 1];
    size_t count = 0;

    for (size_t i = 0; i < stage.held_count; i++)
        if (strcmp(stage.held[i].worker, worker) == 0)
            named[count++] = stage.held[i].lease->lease;
    named[count] = NULL;
    PollResponse *response = stage_poll_as(worker, "first", named);
    Lease **all = arena_alloc(stage.f.arena, (HELD_MAX + response->n_leases) * sizeof(*all));
    size_t n = 0;
    for (size_t i = 0; i < stage.held_count; i++)
        if (stage.held[i].brought && strcmp(stage.held[i].worker, worker) == 0) {
            all[n++] = stage.held[i].lease;
            stage.held[i].brought = false;
        }
    for (size_t i = 0; i < response->n_leases; i++) {
        cr_assert_not(is_held(response->leases[i]->lease), "a lease twice");
        remember(worker, response->leases[i], false);
        all[n++] = response->leases[i];
    }
    for (size_t i = 0; i < response->n_lost; i++)
        forget(response->lost[i]);
    response->leases = all;
    response->n_leases = n;
    return response;
}

Lease *
stage_lease(const char *worker)
{
    const PollResponse *response = stage_poll(worker);

    cr_assert_eq(response->n_leases, 1, "%zu leases", response->n_leases);
    return response->leases[0];
}

static enum err_code
finish(const char *worker, const Lease *lease, const char *status, Output **outputs, size_t count)
{
    FinishRequest request = MODELBUS__PIPELINE__V1__FINISH_TASKS_REQUEST__INIT;
    TaskEnding ending = MODELBUS__PIPELINE__V1__TASK_ENDING__INIT, *endings[] = {&ending};
    FinishResponse response;

    request.worker = (char *)worker;
    request.instance = "first";
    request.endings = endings;
    request.n_endings = 1;
    ending.lease = lease->lease;
    ending.status = (char *)status;
    ending.outputs = outputs;
    ending.n_outputs = count;
    ending.exit_code = strcmp(status, "failed") == 0;
    ending.reason = ending.exit_code ? "exit code 1" : "";
    enum err_code code = fixture_call(&stage.f, "FinishTasks", &request, &response);
    if (!code && response.n_refused)
        code = err_set(&stage.f.err, ERR_PRECONDITION, "%s", response.refused[0]->detail);
    forget(lease->lease);
    for (size_t i = 0; !code && i < response.n_leases; i++)
        remember(worker, response.leases[i], true);
    return code;
}

enum err_code
stage_finish(const char *worker, const Lease *lease, const char *status)
{
    return finish(worker, lease, status, NULL, 0);
}

enum err_code
stage_put_out(const char *worker, const Lease *lease, const char *name, const char *value)
{
    Output output = MODELBUS__PIPELINE__V1__OUTPUT__INIT, *outputs[] = {&output};

    output.name = (char *)name;
    output.uri = "sha256:0000";
    output.size_bytes = strlen(value);
    output.value = (char *)value;
    output.small = true;
    return finish(worker, lease, "succeeded", outputs, 1);
}

size_t
stage_work(const char *worker, const char *status)
{
    size_t done = 0;

    for (;;) {
        const PollResponse *response = stage_poll(worker);
        if (response->n_leases == 0)
            return done;
        for (size_t i = 0; i < response->n_leases; i++, done++)
            OK(stage_finish(worker, response->leases[i], status));
    }
}
