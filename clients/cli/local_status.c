/* SPDX-License-Identifier: Apache-2.0 */
/* local_status.c - `modelbus local status`: the supervisor's words, checked against the kernel and
 * the parts themselves. */
#include "local.h"
#include "output.h"
#include "settings.h"

#include "http/http.h"
#include "localdir/localdir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_MS 1000

/* A part that answered once may have lost its database since. */
static bool
is_ready(const json_t *part)
{
    CLEANUP(mem_free) char *url = NULL;
    struct http_client_response response = {0};
    struct err err;

    if (strcmp(json_text_at(part, "state"), "ready") != 0)
        return false;
    if (!*json_text_at(part, "probe"))
        return true;
    url = mem_printf("http://127.0.0.1:%lld%s", (long long)json_int_at(part, "port"),
                     json_text_at(part, "probe"));
    bool ready =
        http_fetch(&(struct http_client_request){.verb = "GET", .url = url, .timeout_ms = READY_MS},
                   &response, &err) == ERR_OK &&
        response.status == 200;
    http_client_response_done(&response);
    return ready;
}

static void
look_at(json_t *part, bool tree)
{
    pid_t pid = (pid_t)json_int_at(part, "pid");
    int64_t started_ms = json_int_at(part, "started_ms");

    json_object_set_new(part, "ready", json_boolean(is_ready(part)));
    json_object_set_new(part, "uptime_s",
                        json_integer(pid ? (localdir_now_ms() - started_ms) / 1000 : 0));
    json_object_set_new(part, "pss_bytes", json_integer(pid ? localdir_pss_bytes(pid, tree) : 0));
}

static char *
format_uptime(const json_t *value)
{
    long long s = json_integer_value(value);

    if (s < 60)
        return mem_printf("%lld s", s);
    if (s < 3600)
        return mem_printf("%lld min", s / 60);
    return mem_printf("%lld h %lld min", s / 3600, s / 60 % 60);
}

static const struct column columns[] = {
    {"PART", "name", NULL},
    {"STATE", "state", NULL},
    {"READY", "ready", NULL},
    {"PID", "pid", NULL},
    {"UPTIME", "uptime_s", format_uptime},
    {"RESTARTS", "restarts", NULL},
    {"MEMORY", "pss_bytes", format_bytes},
    {"ADDRESS", "address", NULL},
    {NULL, NULL, NULL},
};

static enum err_code
not_running(struct cli *cli, const char *dir, struct err *err)
{
    if (!cli->json)
        return err_set(err, ERR_UNAVAILABLE,
                       "no platform runs in %s; start it with `modelbus local up --detach`", dir);
    json_t *document = json_pack("{ss sb s[]}", "dir", dir, "running", 0, "parts");
    output_json(cli, document);
    json_decref(document);
    return ERR_UNAVAILABLE; /* the document said it */
}

enum err_code
local_status(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *dir = setting_dir(cli);
    CLEANUP(mem_free) char *path = localdir_path(dir, "run/status.json");
    pid_t supervisor = localdir_supervisor(dir);
    json_t *status = NULL, *part;
    bool ready = true;
    size_t i;

    if (!supervisor || localdir_read_json(path, &status, err))
        return not_running(cli, dir, err);
    json_t *parts = json_object_get(status, "parts");
    json_array_foreach(parts, i, part)
    {
        look_at(part, true);
        ready = ready && json_is_true(json_object_get(part, "ready"));
    }
    json_t *own = json_pack("{ss si ss sI si}", "name", "supervisor", "pid", (int)supervisor,
                            "state", "ready", "started_ms",
                            (json_int_t)json_int_at(status, "started_ms"), "restarts", 0);
    look_at(own, false);
    json_array_insert_new(parts, 0, own);
    json_object_set_new(status, "dir", json_string(dir));
    json_object_set_new(status, "running", json_true());
    json_object_set_new(status, "ready", json_boolean(ready));
    if (!output_json(cli, status)) {
        printf("%s\n", dir);
        output_table(cli, parts, columns, "no parts");
    }
    json_decref(status);
    return ready ? ERR_OK : ERR_UNAVAILABLE; /* the table says which */
}
