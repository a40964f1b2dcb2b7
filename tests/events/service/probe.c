/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - the smallest service: says ModelRegistered when it starts, hears it, and says it once
 * more.
 *
 * MODELBUS_PROBE names it (schema, group, source). PROBE_SHORT makes its own stop step fall short.
 */
#include "service.h"

#include "modelbus/registry/v1/events.pb-c.h"

#include <stdlib.h>

typedef Modelbus__Registry__V1__ModelRegistered ModelRegistered;

static struct {
    bool fall_short;
} settings;

static const struct config_key rows[] = {
    {.name = "SHORT",
     .type = CONFIG_TYPE_BOOL,
     .offset = 0,
     .fallback = "false",
     .doc = "Whether the stop falls short"},
    CONFIG_END,
};

static const struct embed_file schema[] = {
    {"001_probe.sql", "CREATE TABLE heard (event_id text PRIMARY KEY);"},
    {NULL, NULL},
};

static void
registered(ModelRegistered *event, int64_t version)
{
    modelbus__registry__v1__model_registered__init(event);
    event->model_name = (char *)(uintptr_t) "m";
    event->version = version;
}

static enum err_code
on_registered(void *arg, const ModelRegistered *event, struct event_context *context,
              struct err *err)
{
    static const struct db_stmt insert = {"INSERT INTO heard (event_id) VALUES ($1)"};
    ModelRegistered next;

    (void)arg;
    if (db_queue(context->db, &insert, DB_PARAMS(db_text(context->envelope->id)), err))
        return err->code;
    if (event->version > 1)
        return ERR_OK;
    registered(&next, event->version + 1);
    return outbox_publish(context->outbox, context->db, context->workspace, &next.base, err);
}

static const struct event_subscription hears[] = {
    EVENT_ON(modelbus__registry__v1__model_registered, on_registered),
    {.type = NULL},
};

static enum err_code
start(struct service *service, struct err *err)
{
    CLEANUP(db_return) struct db_conn *conn = NULL;
    ModelRegistered event;

    registered(&event, 1);
    if (db_borrow(service->db, &conn, err) || db_begin(conn, err) ||
        outbox_publish(service->outbox, conn, "default", &event.base, err) || db_commit(conn, err))
        return err->code;
    return ERR_OK;
}

static bool
stop(struct service *service, int64_t deadline_ms)
{
    (void)service;
    (void)deadline_ms;
    return !settings.fall_short;
}

int
main(int argc, char **argv)
{
    static const ProtobufCMessageDescriptor *const says[] = {
        &modelbus__registry__v1__model_registered__descriptor,
        NULL,
    };
    const char *name = getenv("MODELBUS_PROBE");
    const struct service_spec spec = {
        .name = name ? name : "probe",
        .prefix = "PROBE",
        .doc = "Does next to nothing.",
        .default_rpc_url = "tcp://127.0.0.1:7199",
        .config = rows,
        .config_target = &settings,
        .schema = schema,
        .subscriptions = hears,
        .says = says,
        .start = start,
        .stop = stop,
    };

    return service_main(argc, argv, &spec);
}
