/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c - handlers, a receiver, a clock. */
#include "stage.h"

#include "life/life.h"
#include "pbjson/pbjson.h"

#include <stdlib.h>

struct stage stage;

static int64_t
moved_clock(void)
{
    return life_now_ms() + stage.moved_ms;
}

static void
copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static void
on_post(void *arg, struct http_request *request)
{
    size_t len;
    const char *body = http_body(request, &len);

    (void)arg;
    if (stage.status == 0 && stage.heard_count < HEARD_MAX) {
        struct heard *heard = &stage.heard[stage.heard_count];
        copy(heard->path, sizeof(heard->path), http_path(request));
        copy(heard->id, sizeof(heard->id), http_header(request, "X-Modelbus-Notification"));
        copy(heard->key, sizeof(heard->key), http_header(request, "Idempotency-Key"));
        copy(heard->authorization, sizeof(heard->authorization),
             http_header(request, "Authorization"));
        heard->body = json_loadb(body, len, 0, NULL);
        stage.heard_count++;
    }
    if (stage.status == 302)
        http_reply_header(request, "Location", stage.url);
    http_reply(request, stage.status ? stage.status : 200, "text/plain", "", 0);
}

void
stage_open(void)
{
    static const struct service_spec spec = {
        .name = "alert",
        .config_target = &stage.settings,
        .schema = alert_schema,
        .subscriptions = alert_events,
        .interface = &modelbus__alert__v1__alerts__descriptor,
        .methods = alert_queries,
    };
    static const struct http_route routes[] = {
        {.verb = "POST", .pattern = "/{path*}", .handler = on_post},
        {.verb = NULL},
    };
    const struct http_server_options options = {.bind = "127.0.0.1:0", .routes = routes};

    alert_subscribe();
    stage.settings.max_event_age_s = 3600;
    fixture_open(&stage.f, &spec);
    OK(http_server_start(&stage.server, &options, &stage.f.err));
    snprintf(stage.url, sizeof(stage.url), "http://127.0.0.1:%d", http_server_port(stage.server));
    OK(address_list_parse("127.0.0.0/8", &stage.allowed, &stage.f.err));
    OK(layers_open(&stage.state.layers, NULL, &stage.f.err));
    const struct delivery_options delivery = {
        .service = &stage.f.service,
        .sender = {.allowed = &stage.allowed, .timeout_ms = 5000, .external_url = ""},
        .retention_ms = 3600 * 1000,
        .clock = moved_clock,
    };
    stage.state.delivery = delivery_new(&delivery);
    stage.f.service.state = &stage.state;
}

void
stage_close(void)
{
    cr_expect(delivery_free(stage.state.delivery, INT64_MAX));
    layers_free(stage.state.layers);
    if (stage.server)
        http_server_stop(stage.server, life_monotonic_ms() + 5000);
    for (size_t i = 0; i < stage.heard_count; i++)
        json_decref(stage.heard[i].body);
    fixture_close(&stage.f);
}

size_t
stage_deliver(void)
{
    size_t steps = 0;
    bool did;

    for (;;) {
        OK(delivery_step(stage.state.delivery, &did, &stage.f.err));
        if (!did)
            return steps;
        cr_assert_lt(++steps, 1000, "the delivery does not come to rest");
    }
}

enum err_code
stage_call(const char *method, const char *request, json_t **reply)
{
    const ProtobufCMethodDescriptor *types = protobuf_c_service_descriptor_get_method_by_name(
        &modelbus__alert__v1__alerts__descriptor, method);
    ProtobufCMessage *asked, *answer = arena_alloc(stage.f.arena, types->output->sizeof_message);
    CLEANUP(buf_done) struct buf text = {0};

    OK(pbjson_read(types->input, request, strlen(request), 0, stage.f.arena, &asked, &stage.f.err));
    enum err_code code = fixture_call(&stage.f, method, asked, answer);
    if (!code && reply) {
        pbjson_write(answer, PBJSON_DEFAULTS, &text);
        *reply = json_loadb(text.data, text.len, 0, NULL);
    }
    return code;
}

json_t *
stage_ask(const char *method, const char *request)
{
    json_t *reply = NULL;

    cr_assert_eq(stage_call(method, request, &reply), ERR_OK, "%s %s: %s", method, request,
                 stage.f.err.message);
    return reply;
}

void
stage_route(const char *route_fields)
{
    char text[600];

    snprintf(text, sizeof(text), "{\"name\":\"hook\",\"type\":\"webhook\",\"url\":\"%s/hook\"}",
             stage.url);
    json_decref(stage_ask("PutAlertReceiver", text));
    snprintf(text, sizeof(text), "{\"name\":\"all\",\"receivers\":[\"hook\"]%s}", route_fields);
    json_decref(stage_ask("PutAlertRoute", text));
}

enum err_code
stage_drift(const char *endpoint)
{
    Modelbus__Monitoring__V1__DriftDetected event = MODELBUS__MONITORING__V1__DRIFT_DETECTED__INIT;

    event.endpoint = (char *)endpoint;
    event.model_name = "m";
    event.drifted = 2;
    event.checked = 3;
    return fixture_hear(&stage.f, "d", &event);
}

enum err_code
stage_clear(const char *endpoint)
{
    Modelbus__Monitoring__V1__DriftCleared event = MODELBUS__MONITORING__V1__DRIFT_CLEARED__INIT;

    event.endpoint = (char *)endpoint;
    event.model_name = "m";
    return fixture_hear(&stage.f, "c", &event);
}

enum err_code
stage_load_failed(const char *endpoint)
{
    Modelbus__Serving__V1__ModelLoadFailed event = MODELBUS__SERVING__V1__MODEL_LOAD_FAILED__INIT;

    event.endpoint = (char *)endpoint;
    event.pod = "pod-a";
    event.model_name = "m";
    return fixture_hear(&stage.f, "f", &event);
}

const char *
stage_told(size_t at)
{
    const json_t *body, *alert, *all;
    char text[500];
    size_t i;

    if (at >= stage.heard_count)
        return "(nothing)";
    body = stage.heard[at].body;
    snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(body, "status")));
    all = json_object_get(body, "alerts");
    json_array_foreach(all, i, alert)
    {
        size_t n = strlen(text);
        const char *endpoint =
            json_string_value(json_object_get(json_object_get(alert, "labels"), "endpoint"));
        const char *status = json_string_value(json_object_get(alert, "status"));
        snprintf(text + n, sizeof(text) - n, "%s%s%s", i ? "," : " ", endpoint ? endpoint : "-",
                 strcmp(status, "resolved") == 0 ? "/over" : "");
    }
    return arena_strdup(stage.f.arena, text);
}

const char *
stage_alert_id(const char *endpoint)
{
    json_t *reply = stage_ask("ListAlerts", "{}"), *alert, *label;
    const char *id = NULL;
    size_t i, k;

    json_array_foreach(json_object_get(reply, "alerts"), i, alert)
    {
        json_array_foreach(json_object_get(alert, "labels"), k, label)
        {
            if (strcmp(json_string_value(json_object_get(label, "key")), "endpoint") == 0 &&
                strcmp(json_string_value(json_object_get(label, "value")), endpoint) == 0)
                id = arena_strdup(stage.f.arena, json_string_value(json_object_get(alert, "id")));
        }
    }
    json_decref(reply);
    cr_assert(id, "no alert of %s fires", endpoint);
    return id;
}
