/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_watch.c - `modelbus pipeline watch|logs`: long polls until a run or a task has ended. */
#include "api.h"
#include "output.h"
#include "pipeline.h"

#include "buf/buf.h"
#include "life/life.h"
#include "pbjson/pbjson.h"

#include "modelbus/pipeline/v1/queries.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000
#define PATIENCE_MS 60000 /* so long may the platform be away while somebody watches */

/* ---- a run ---- */

struct watch {
    struct cli *cli;
    size_t lines; /* drawn, to be drawn over */
    json_t *told; /* task: what was printed of it, when piped */
};

static int
color_of(const char *status)
{
    static const struct {
        const char *status;
        int color;
    } colors[] = {{"succeeded", COLOR_GREEN},
                  {"failed", COLOR_RED},
                  {"running", COLOR_CYAN},
                  {"cancelled", COLOR_YELLOW},
                  {"cancelling", COLOR_YELLOW}};

    for (size_t i = 0; i < ARRAY_LEN(colors); i++)
        if (strcmp(status, colors[i].status) == 0)
            return colors[i].color;
    return COLOR_DIM;
}

static char *
progress_of(const json_t *task)
{
    int64_t items = json_int_at(task, "items"), began = json_int_at(task, "started_at_ms");
    int64_t ended = json_int_at(task, "finished_at_ms");
    const char *reason = json_text_at(task, "reason");
    CLEANUP(buf_done) struct buf out = {0};

    buf_reserve(&out, 1);
    if (items > 1)
        buf_printf(&out, "  %lld/%lld", (long long)json_int_at(task, "succeeded"),
                   (long long)items);
    if (began && ended)
        buf_printf(&out, "  %.1f s", (double)(ended - began) / 1000);
    if (json_is_true(json_object_get(task, "cached")))
        buf_str(&out, "  from the cache");
    if (*reason)
        buf_printf(&out, "  %s", reason);
    return mem_strdup(out.len ? out.data : "");
}

static void
print_task(const struct watch *w, const json_t *task)
{
    CLEANUP(mem_free) char *progress = progress_of(task);
    const char *status = json_text_at(task, "status");
    char word[16];

    snprintf(word, sizeof(word), "%-10s", status);
    printf("  ");
    output_color(w->cli, color_of(status), word, stdout);
    printf("  %s%s\n", json_text_at(task, "task"), progress);
}

static void
draw(struct watch *w, const json_t *run)
{
    json_t *task;
    size_t i;

    if (w->lines)
        printf("\033[%zuA\033[J", w->lines);
    printf("%s  ", json_text_at(run, "pipeline"));
    output_color(w->cli, color_of(json_text_at(run, "status")), json_text_at(run, "status"),
                 stdout);
    printf("  %s\n", json_text_at(run, "reason"));
    json_array_foreach(json_object_get(run, "tasks"), i, task) print_task(w, task);
    w->lines = json_array_size(json_object_get(run, "tasks")) + 1;
    fflush(stdout);
}

/* Only what is new. */
static void
tell(struct watch *w, const json_t *run)
{
    json_t *task;
    size_t i;

    json_array_foreach(json_object_get(run, "tasks"), i, task)
    {
        CLEANUP(mem_free) char *progress = progress_of(task);
        CLEANUP(mem_free)
        char *line = mem_printf("%s %s%s", json_text_at(task, "task"), json_text_at(task, "status"),
                                progress);
        const char *name = json_text_at(task, "task");
        const char *before = json_string_value(json_object_get(w->told, name));
        if (strcmp(json_text_at(task, "status"), "waiting") == 0 ||
            (before && strcmp(before, line) == 0))
            continue;
        json_object_set_new(w->told, name, json_string(line));
        puts(line);
    }
    fflush(stdout);
}

static bool
run_ended(const json_t *run)
{
    const char *status = json_text_at(run, "status");

    return *status && strcmp(status, "waiting") != 0 && strcmp(status, "running") != 0 &&
           strcmp(status, "cancelling") != 0;
}

static void
end(struct watch *w, const json_t *run)
{
    bool good = strcmp(json_text_at(run, "status"), "succeeded") == 0;
    const char *reason = json_text_at(run, "reason");

    w->cli->exit_code = good ? 0 : EXIT_RUN_FAILED;
    if (!output_json(w->cli, run) && !w->lines)
        printf("%s %s%s%s\n", json_text_at(run, "pipeline"), json_text_at(run, "status"),
               *reason ? ": " : "", reason);
}

enum err_code
pipeline_watch(struct cli *cli, const char *run_id, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(run_id);
    struct watch w = {.cli = cli, .told = json_object()};
    bool live = !cli->json && isatty(STDOUT_FILENO);
    enum err_code code = ERR_OK;
    int64_t revision = -1;
    bool ended = false;

    while (!code && !ended) {
        json_t *answer = NULL;
        code = api_poll(cli, life_monotonic_ms() + PATIENCE_MS, &answer, err,
                        "pipeline-runs/%s?wait_ms=%d&revision=%lld", id, revision < 0 ? 0 : WAIT_MS,
                        (long long)revision);
        if (code)
            break;
        const json_t *run = json_object_get(answer, "run");
        revision = json_int_at(run, "revision");
        ended = run_ended(run);
        if (live)
            draw(&w, run);
        else if (!cli->json)
            tell(&w, run);
        if (ended)
            end(&w, run);
        json_decref(answer);
    }
    json_decref(w.told);
    return code;
}

enum err_code
pipeline_run_watch(struct cli *cli, struct err *err)
{
    return pipeline_watch(cli, cli_word(cli, 0), err);
}

/* ---- what a task wrote ---- */

/* What was not streamed before the task ended: the rest of the whole log. */
static enum err_code
print_rest(struct cli *cli, const char *uri, int64_t offset, struct err *err)
{
    char path[] = "/tmp/modelbus-log-XXXXXX", block[8192];
    int fd = mkstemp(path);
    size_t n;

    if (fd < 0)
        return err_set(err, ERR_INTERNAL, "no temporary file in /tmp: %s", strerror(errno));
    close(fd);
    enum err_code code = api_download(cli, uri, path, err);
    FILE *file = code ? NULL : fopen(path, "rb");
    if (!code && (!file || fseek(file, (long)offset, SEEK_SET) != 0))
        code = err_set(err, ERR_INTERNAL, "%s: %s", path, strerror(errno));
    while (!code && (n = fread(block, 1, sizeof(block), file)) > 0)
        fwrite(block, 1, n, stdout);
    if (file)
        fclose(file);
    unlink(path);
    return code;
}

enum err_code
pipeline_run_logs(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *run = api_encode(cli_word(cli, 0));
    CLEANUP(mem_free) char *task = api_encode(cli_word(cli, 1));
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    bool follow = cli_option(cli, "follow") != NULL, ended = false;
    int64_t offset = 0, index, attempt;

    if (cli_number(cli, "index", 0, INT32_MAX, 0, &index, err) ||
        cli_number(cli, "attempt", 1, INT32_MAX, 0, &attempt, err))
        return err->code;
    while (!ended) {
        json_t *answer = NULL;
        if (api_poll(cli, life_monotonic_ms() + (follow ? PATIENCE_MS : 0), &answer, err,
                     "pipeline-runs/%s/tasks/%s/log?index=%lld&attempt=%lld&offset=%lld&wait_ms=%d",
                     run, task, (long long)index, (long long)attempt, (long long)offset,
                     follow ? WAIT_MS : 0))
            return err->code;
        ProtobufCMessage *message;
        enum err_code code =
            pbjson_from(&modelbus__pipeline__v1__read_task_log_response__descriptor, answer,
                        PBJSON_IGNORE_UNKNOWN, arena, &message, err);
        json_decref(answer);
        if (code)
            return code;
        const Modelbus__Pipeline__V1__ReadTaskLogResponse *log = (const void *)message;
        if (log->data.len)
            fwrite(log->data.data, 1, log->data.len, stdout);
        fflush(stdout);
        ended = log->ended || (!follow && (int64_t)log->next_offset == offset);
        attempt = log->attempt;
        offset = (int64_t)log->next_offset;
        if (log->ended && *log->uri && print_rest(cli, log->uri, offset, err))
            return err->code;
        arena_reset(arena);
    }
    return ERR_OK;
}
