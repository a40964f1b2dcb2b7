/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the table of routes, and the answers that need no prediction. */
#include "pod.h"

#include "life/life.h"
#include "service.h"

#include <string.h>

static void
reply_json(struct http_request *r, int status, struct buf *body)
{
    http_reply_take(r, status, "application/json", body);
}

static void
member(struct buf *b, const char *name, const char *value)
{
    if (b->data[b->len - 1] != '{')
        buf_char(b, ',');
    buf_json_str(b, name, strlen(name));
    buf_char(b, ':');
    buf_json_str(b, value, strlen(value));
}

/* "name":["item",…] */
static void
list(struct buf *b, const char *name, char *const *items, size_t count)
{
    buf_printf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(b, ',');
        buf_json_str(b, items[i], strlen(items[i]));
    }
    buf_char(b, ']');
}

void
pod_error(void *arg, struct http_request *request, const struct err *err)
{
    struct buf body = {0};

    (void)arg;
    if (err->code == ERR_UNAVAILABLE)
        http_reply_header(request, "Retry-After", "1");
    if (strncmp(http_path(request), "/v2", 3) != 0) {
        http_problem(request, err);
        return;
    }
    buf_char(&body, '{');
    member(&body, "error", err->message);
    buf_char(&body, '}');
    reply_json(request, err_http_status(err->code), &body);
}

static void
v2_server(void *arg, struct http_request *r)
{
    struct buf b = {0};

    (void)arg;
    buf_char(&b, '{');
    member(&b, "name", "modelbus");
    member(&b, "version", MODELBUS_VERSION);
    buf_str(&b, ",\"extensions\":[\"model_repository\"]}");
    reply_json(r, 200, &b);
}

static void
v2_live(void *arg, struct http_request *r)
{
    static const char body[] = "{\"live\":true}";

    (void)arg;
    http_reply(r, 200, "application/json", body, sizeof(body) - 1);
}

static void
v2_ready(void *arg, struct http_request *r)
{
    bool ready = life_ready(NULL);
    struct buf b = {0};

    (void)arg;
    buf_printf(&b, "{\"ready\":%s}", ready ? "true" : "false");
    reply_json(r, ready ? 200 : 503, &b);
}

static void
v2_model(void *arg, struct http_request *r)
{
    struct endpoint *endpoint;
    struct model *m = pod_model(arg, r, &endpoint);
    struct buf b = {0};

    if (!m)
        return;
    buf_char(&b, '{');
    member(&b, "name", m->endpoint);
    buf_printf(&b, ",\"versions\":[\"%s\"]", m->version_text);
    member(&b, "platform", m->info->platform);
    buf_printf(&b,
               ",\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[-1,%zu]}],"
               "\"outputs\":[{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[-1",
               m->info->features, m->info->output);
    if (m->info->width > 1)
        buf_printf(&b, ",%zu", m->info->width);
    buf_str(&b, "]}],\"parameters\":{");
    member(&b, "model", m->name);
    member(&b, "objective", m->info->objective);
    list(&b, "feature_names", m->feature_names, m->info->features);
    list(&b, "classes", m->info->classes, m->info->classes ? m->info->width : 0);
    buf_str(&b, "}}");
    reply_json(r, 200, &b);
}

static void
v2_model_ready(void *arg, struct http_request *r)
{
    struct endpoint *endpoint;
    struct model *m = pod_model(arg, r, &endpoint);
    struct buf b = {0};

    if (!m)
        return;
    buf_char(&b, '{');
    member(&b, "name", m->endpoint);
    buf_str(&b, ",\"ready\":true}");
    reply_json(r, 200, &b);
}

static void
v2_index(void *arg, struct http_request *r)
{
    struct pod *pod = arg;
    struct buf b = {0};

    endpoints_enter(pod->o.endpoints, http_thread(r));
    buf_char(&b, '[');
    for (size_t i = 0; i < endpoints_count(pod->o.endpoints); i++) {
        struct endpoint *e = endpoints_at(pod->o.endpoints, i);
        struct model *m = endpoint_model(e);
        if (atomic_load(&e->deleted))
            continue;
        buf_str(&b, b.len > 1 ? ",{" : "{");
        member(&b, "name", e->name);
        member(&b, "version", m ? m->version_text : "");
        member(&b, "state", m ? "READY" : "UNAVAILABLE");
        member(&b, "reason", m ? "" : "no model could be loaded");
        buf_char(&b, '}');
    }
    buf_char(&b, ']');
    reply_json(r, 200, &b);
}

static void
describe_model(struct buf *b, const struct model *m)
{
    member(b, "model", m->name);
    buf_printf(b, ",\"version\":%lld,\"generation\":%lld,\"fallback\":%s", (long long)m->version,
               (long long)m->generation, m->fallback ? "true" : "false");
    member(b, "artifact", m->uri);
    member(b, "format", m->info->format);
    member(b, "objective", m->info->objective);
    buf_printf(b, ",\"features\":%zu,\"outputs\":%zu,\"bytes\":%zu", m->info->features,
               m->info->width, m->info->bytes);
    buf_printf(b, ",\"loaded_at_ms\":%lld,\"load_ms\":", (long long)m->loaded_at_ms);
    buf_double(b, m->load_ms);
}

static void
info(void *arg, struct http_request *r)
{
    struct pod *pod = arg;
    struct buf b = {0};

    endpoints_enter(pod->o.endpoints, http_thread(r));
    buf_char(&b, '{');
    member(&b, "name", "modelbus-inference");
    member(&b, "version", MODELBUS_VERSION);
    member(&b, "pod", pod->o.name);
    buf_printf(&b, ",\"started_at_ms\":%lld,\"workers\":%u", (long long)pod->started_ms,
               pod->o.workers);
    member(&b, "formats", runtime_formats());
    buf_str(&b, ",\"endpoints\":[");
    for (size_t i = 0; i < endpoints_count(pod->o.endpoints); i++) {
        struct endpoint *e = endpoints_at(pod->o.endpoints, i);
        struct model *m = endpoint_model(e);
        if (atomic_load(&e->deleted))
            continue;
        buf_str(&b, b.data[b.len - 1] == '[' ? "{" : ",{");
        member(&b, "endpoint", e->name);
        buf_printf(&b, ",\"serving\":%s", m ? "true" : "false");
        if (m)
            describe_model(&b, m);
        buf_char(&b, '}');
    }
    buf_str(&b, "]}");
    reply_json(r, 200, &b);
}

#define V2_MODEL "/v2/models/{endpoint}"
#define V2_VERSION V2_MODEL "/versions/{version}"

const struct http_route pod_routes[] = {
    {.verb = "POST", .pattern = V2_MODEL "/infer", .handler = pod_infer},
    {.verb = "POST", .pattern = V2_VERSION "/infer", .handler = pod_infer},
    {.verb = "POST", .pattern = "/predict", .handler = pod_predict},
    {.verb = "POST", .pattern = "/predict/{endpoint}", .handler = pod_predict},
    {.verb = "GET", .pattern = "/v2", .handler = v2_server},
    {.verb = "GET", .pattern = "/v2/health/live", .handler = v2_live},
    {.verb = "GET", .pattern = "/v2/health/ready", .handler = v2_ready},
    {.verb = "GET", .pattern = V2_MODEL, .handler = v2_model},
    {.verb = "GET", .pattern = V2_MODEL "/ready", .handler = v2_model_ready},
    {.verb = "GET", .pattern = V2_VERSION, .handler = v2_model},
    {.verb = "GET", .pattern = V2_VERSION "/ready", .handler = v2_model_ready},
    {.verb = "POST", .pattern = "/v2/repository/index", .handler = v2_index},
    {.verb = "GET", .pattern = "/info", .handler = info},
    {.verb = "GET", .pattern = "/healthz", .handler = service_healthz},
    {.verb = "GET", .pattern = "/readyz", .handler = service_readyz},
    {.verb = "GET", .pattern = "/metrics", .handler = service_metrics},
    {.verb = NULL},
};
