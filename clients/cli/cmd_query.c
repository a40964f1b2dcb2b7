/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_query.c - `modelbus query`: any method of any service, JSON in and out. */
#include "output.h"
#include "settings.h"

#include "pbjson/pbjson.h"
#include "rpc/rpc.h"

#include "modelbus/alert/v1/queries.pb-c.h"
#include "modelbus/bus/v1/queries.pb-c.h"
#include "modelbus/deployment/v1/queries.pb-c.h"
#include "modelbus/experiment/v1/queries.pb-c.h"
#include "modelbus/gateway/v1/queries.pb-c.h"
#include "modelbus/monitoring/v1/queries.pb-c.h"
#include "modelbus/pipeline/v1/queries.pb-c.h"
#include "modelbus/registry/v1/queries.pb-c.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_MS 5000
#define ARENA_LIMIT (64u << 20)

/* A new service is a row. */
static const struct {
    const char *name;
    const ProtobufCServiceDescriptor *interface;
} services[] = {
    {"experiment", &modelbus__experiment__v1__experiments__descriptor},
    {"registry", &modelbus__registry__v1__registry__descriptor},
    {"deployment", &modelbus__deployment__v1__deployment__descriptor},
    {"monitoring", &modelbus__monitoring__v1__monitoring__descriptor},
    {"alert", &modelbus__alert__v1__alerts__descriptor},
    {"pipeline", &modelbus__pipeline__v1__pipelines__descriptor},
    {"gateway", &modelbus__gateway__v1__gateway__descriptor},
};

struct asked {
    struct cli *cli;
    const char *service;
    const ProtobufCServiceDescriptor *interface;
    struct rpc_client *client;
    struct arena *arena;
    int64_t timeout_ms;
};

static const char *
service_at(void *arg, size_t i)
{
    (void)arg;
    return i < ARRAY_LEN(services) ? services[i].name : NULL;
}

static const char *
method_at(void *arg, size_t i)
{
    const ProtobufCServiceDescriptor *interface = arg;
    const ProtobufCServiceDescriptor *bus = &modelbus__bus__v1__bus__descriptor;

    if (i < interface->n_methods)
        return interface->methods[i].name;
    i -= interface->n_methods;
    return i < bus->n_methods ? bus->methods[i].name : NULL;
}

static enum err_code
find_method(const struct asked *asked, const char *name, const ProtobufCMethodDescriptor **method,
            struct err *err)
{
    const ProtobufCServiceDescriptor *both[] = {asked->interface,
                                                &modelbus__bus__v1__bus__descriptor};

    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        for (unsigned m = 0; m < both[i]->n_methods; m++)
            if (strcmp(both[i]->methods[m].name, name) == 0) {
                *method = &both[i]->methods[m];
                return ERR_OK;
            }
    const char *near = nearest_word(name, method_at, (void *)(uintptr_t)asked->interface);
    return err_set(err, ERR_INVALID, "%s has no method '%s'%s%s; see modelbus query %s --list",
                   asked->service, name, near ? "; did you mean " : "", near ? near : "",
                   asked->service);
}

/* Whoever holds the services' key may say who they are; we are the user at the shell. */
static enum err_code
caller(const struct cli *cli, struct auth_caller *who, struct err *err)
{
    const char *user = getenv("USER"), *workspace = cli_option(cli, "workspace");

    *who = (struct auth_caller){.roles = AUTH_ADMIN};
    if (auth_workspace_check(workspace ? workspace : "default", err))
        return err->code;
    snprintf(who->subject, sizeof(who->subject), "user:%.100s", user && *user ? user : "cli");
    snprintf(who->workspace, sizeof(who->workspace), "%s", workspace ? workspace : "default");
    return ERR_OK;
}

static enum err_code
ask(const struct asked *asked, const ProtobufCMethodDescriptor *method, const char *text,
    size_t len, struct buf *out, struct err *err)
{
    const char *request_id = cli_option(asked->cli, "request-id");
    ProtobufCMessage *request = NULL, *reply = NULL;
    struct auth_caller who;

    if (caller(asked->cli, &who, err) ||
        pbjson_read(method->input, text, len, 0, asked->arena, &request, err) ||
        rpc_call(asked->client, method->name, &who, request_id, asked->timeout_ms, request,
                 method->output, asked->arena, &reply, err))
        return err->code;
    pbjson_write(reply, PBJSON_DEFAULTS | (isatty(STDOUT_FILENO) ? PBJSON_PRETTY : 0), out);
    return ERR_OK;
}

static const struct column method_columns[] = {
    {"METHOD", "name", NULL},
    {"COMMAND", "command", NULL},
    {"SCOPE", "scope", NULL},
    {"DEADLINE ms", "deadline_ms", NULL},
    {"REQUEST", "request_type", NULL},
    {"RESPONSE", "response_type", NULL},
    {NULL, NULL, NULL},
};

static void
print_methods(struct cli *cli, const struct buf *text)
{
    json_t *answer = json_loadb(text->data, text->len, 0, NULL);

    if (!output_json(cli, json_object_get(answer, "methods")))
        output_table(cli, json_object_get(answer, "methods"), method_columns, "no methods");
    json_decref(answer);
}

static enum err_code
open_client(struct asked *asked, struct rpc_client **client, struct err *err)
{
    CLEANUP(mem_free) char *name = mem_printf("MODELBUS_%s_RPC_URL", asked->service);
    CLEANUP(mem_free) char *key = NULL;
    const char *url;

    for (char *p = name; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    if (setting_need(asked->cli, NULL, name, &url, err) ||
        setting_secret(asked->cli, NULL, "MODELBUS_RPC_KEY", &key, err))
        return err->code;
    return rpc_client_open(
        client,
        &(struct rpc_client_options){.url = url, .key = key, .key_len = strlen(key), .contexts = 1},
        err);
}

static enum err_code
run_query(struct cli *cli, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, ARENA_LIMIT);
    CLEANUP(rpc_client_free) struct rpc_client *client = NULL;
    CLEANUP(buf_done) struct buf out = {0};
    CLEANUP(mem_free) char *text = NULL;
    struct asked asked = {.cli = cli, .service = cli_word(cli, 0), .arena = arena};
    bool list = cli_option(cli, "list") != NULL;
    const char *name = list ? "ListMethods" : cli_word(cli, 1);
    const char *body = list ? NULL : cli_word(cli, 2);
    const ProtobufCMethodDescriptor *method = NULL;
    size_t len;

    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (strcmp(services[i].name, asked.service) == 0)
            asked.interface = services[i].interface;
    if (!asked.interface) {
        const char *near = nearest_word(asked.service, service_at, NULL);
        return err_set(err, ERR_INVALID, "no service '%s'%s%s", asked.service,
                       near ? "; did you mean " : "", near ? near : "");
    }
    if (!name)
        return err_set(err, ERR_INVALID, "say which method, or --list");
    if (find_method(&asked, name, &method, err) ||
        cli_number(cli, "timeout-ms", 1, 600000, DEADLINE_MS, &asked.timeout_ms, err) ||
        read_argument(body ? body : "{}", RPC_MESSAGE_MAX, &text, &len, err) ||
        open_client(&asked, &client, err))
        return err->code;
    asked.client = client;
    if (ask(&asked, method, text, len, &out, err))
        return err->code;
    if (list)
        print_methods(cli, &out);
    else
        puts(out.data);
    return ERR_OK;
}

static const struct option_row options[] = {
    {"list", NULL, "list the service's methods with their scopes", NULL, 0},
    {"request-id", "ID", "a command with an id that was answered is not done again", NULL, 0},
    {"timeout-ms", "MS", "wait this long (5000)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command query_commands[] = {
    {.path = "query",
     .args = "SERVICE [METHOD] [JSON]",
     .doc = "Call a method of a service directly; JSON may be @FILE or -",
     .run = run_query,
     .options = options,
     .complete = COMPLETE_SERVICE,
     .examples = "  modelbus query registry --list\n"
                 "  modelbus query registry GetModelVersion '{\"name\": \"churn\"}'\n"},
    {.path = NULL},
};
