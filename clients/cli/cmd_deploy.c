/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy.c - `modelbus deploy`: from a file to a serving version in one command. */
#include "api.h"
#include "output.h"
#include "push.h"

#include "life/life.h"

#include <ctype.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 120
#define POLL_MS 20

struct deploy {
    struct cli *cli;
    int64_t began_ms;
    const char *alias;
    char endpoint[64];
    int64_t version;
};

/* What has been done, with the time since the start, for people only. */
PRINTF_LIKE(2, 3)
static void
step(const struct deploy *d, const char *format, ...)
{
    va_list args;

    if (d->cli->json)
        return;
    fprintf(stderr, "%8.3f s  ", (double)(life_monotonic_ms() - d->began_ms) / 1000);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* A model's name as an endpoint's: lower case, digits and dashes. */
static void
endpoint_name(const char *model, char name[64])
{
    size_t n = 0;

    for (const char *p = model; *p && n < 62; p++) {
        if (isalnum((unsigned char)*p))
            name[n++] = (char)tolower((unsigned char)*p);
        else if (n && name[n - 1] != '-')
            name[n++] = '-';
    }
    while (n && name[n - 1] == '-')
        n--;
    name[n] = '\0';
}

/* Before the alias moves: an endpoint that follows another model is found out while nothing has changed. */
static enum err_code
bind_endpoint(struct deploy *d, const char *model, struct err *err)
{
    CLEANUP(mem_free) char *encoded = api_encode(d->endpoint);
    json_t *answer = NULL;

    enum err_code code = api_call(d->cli, "GET", NULL, &answer, err, "endpoints/%s", encoded);
    if (!code) {
        const char *follows = json_text_at(answer, "endpoint.alias");
        const char *serves = json_text_at(answer, "endpoint.model_name");
        if (strcmp(serves, model) != 0 || strcmp(follows, d->alias) != 0)
            code = err_set(err, ERR_PRECONDITION,
                           "endpoint %s follows %s@%s, not %s@%s: choose another with --endpoint",
                           d->endpoint, serves, *follows ? follows : "(a fixed version)", model,
                           d->alias);
        json_decref(answer);
        return code;
    }
    if (code != ERR_NOT_FOUND)
        return code;
    json_t *body =
        json_pack("{ss ss ss}", "name", d->endpoint, "model_name", model, "alias", d->alias);
    code = api_call(d->cli, "POST", body, NULL, err, "endpoints");
    json_decref(body);
    if (!code)
        step(d, "endpoint %s created", d->endpoint);
    return code;
}

static enum err_code
move_alias(struct deploy *d, const char *model, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(model);
    CLEANUP(mem_free) char *alias = api_encode(d->alias);
    json_t *body = json_pack("{sI ss}", "version", (json_int_t)d->version, "reason", "deploy");
    enum err_code code =
        api_call(d->cli, "PUT", body, NULL, err, "models/%s/aliases/%s", name, alias);

    json_decref(body);
    if (!code)
        step(d, "%s@%s is version %lld", model, d->alias, (long long)d->version);
    return code;
}

/* ERR_OK with *done false: not yet. */
static enum err_code
look(const struct deploy *d, const json_t *endpoint, bool *done, struct err *err)
{
    const json_t *pods = json_object_get(endpoint, "pods"), *pod;
    size_t i;

    *done = false;
    if (json_int_at(endpoint, "target.version") != d->version)
        return ERR_OK;
    json_array_foreach((json_t *)(uintptr_t)pods, i, pod)
    {
        bool loaded = json_is_true(json_object_get(pod, "loaded"));
        bool current = json_int_at(pod, "generation") >= json_int_at(endpoint, "generation");
        if (current && !loaded)
            return err_set(err, ERR_PRECONDITION, "pod %s could not load version %lld: %s",
                           json_text_at(pod, "pod"), (long long)d->version,
                           json_text_at(pod, "error"));
    }
    *done = strcmp(json_text_at(endpoint, "status"), "ENDPOINT_STATUS_SERVING") == 0;
    return ERR_OK;
}

/* Until every pod that reported serves the version; *endpoint is what was seen last. */
static enum err_code
wait_serving(struct deploy *d, int64_t timeout_s, json_t **endpoint, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(d->endpoint);
    int64_t end = life_monotonic_ms() + timeout_s * 1000;
    bool done = false;

    for (;;) {
        json_t *answer = NULL;
        if (api_poll(d->cli, end, &answer, err, "endpoints/%s", name))
            return err->code;
        json_decref(*endpoint);
        *endpoint = json_incref(json_object_get(answer, "endpoint"));
        json_decref(answer);
        if (look(d, *endpoint, &done, err))
            return err->code;
        if (done)
            return ERR_OK;
        if (life_monotonic_ms() > end)
            return err_set(err, ERR_DEADLINE,
                           "endpoint %s does not serve version %lld after %lld s (%s%s%s)",
                           d->endpoint, (long long)d->version, (long long)timeout_s,
                           json_text_at(*endpoint, "status"),
                           *json_text_at(*endpoint, "status_detail") ? ": " : "",
                           json_text_at(*endpoint, "status_detail"));
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

static enum err_code
run_deploy(struct cli *cli, struct err *err)
{
    struct deploy d = {.cli = cli, .began_ms = life_monotonic_ms()};
    const char *model = cli_word(cli, 0), *endpoint = cli_option(cli, "endpoint");
    json_t *version = NULL, *served = NULL;
    int64_t timeout_s;

    d.alias = cli_option(cli, "alias") ? cli_option(cli, "alias") : "champion";
    endpoint_name(endpoint ? endpoint : model, d.endpoint);
    if (endpoint && strcmp(endpoint, d.endpoint) != 0)
        return err_set(err, ERR_INVALID,
                       "--endpoint: a name has lower case letters, digits and dashes, as '%s'",
                       d.endpoint);
    if (!*d.endpoint)
        return err_set(err, ERR_INVALID, "'%s' gives no endpoint name; use --endpoint", model);
    if (cli_number(cli, "timeout", 1, 86400, WAIT_S, &timeout_s, err) ||
        push_version(cli, model, cli_word(cli, 1), &version, err))
        return err->code;
    d.version = json_int_at(version, "version");
    step(&d, "%s version %lld registered", model, (long long)d.version);
    json_decref(version);
    if (bind_endpoint(&d, model, err) || move_alias(&d, model, err))
        return err->code;
    enum err_code code = ERR_OK;
    if (cli_option(cli, "wait")) {
        code = wait_serving(&d, timeout_s, &served, err);
        if (!code)
            step(&d, "serving");
    }
    /* Why a pod could not load is a failure of this command, not a conflict. */
    if (code == ERR_PRECONDITION)
        code = err->code = ERR_INTERNAL;
    if (!code) {
        json_t *result =
            json_pack("{ss sI ss sI so*}", "model", model, "version", (json_int_t)d.version,
                      "endpoint", d.endpoint, "took_ms",
                      (json_int_t)(life_monotonic_ms() - d.began_ms), "state", json_incref(served));
        if (!output_json(cli, result))
            printf("%s version %lld on endpoint %s%s\n", model, (long long)d.version, d.endpoint,
                   served ? ", serving" : "");
        json_decref(result);
    }
    json_decref(served);
    return code;
}

static const struct option_row options[] = {
    {"wait", NULL, "return when every pod serves it", NULL, 'w'},
    {"endpoint", "NAME", "endpoint (named like the model)", NULL, 0},
    {"alias", "ALIAS", "alias to move (champion)", NULL, 0},
    {"timeout", "S", "with --wait: seconds (120)", NULL, 0},
    {"description", "TEXT", "of the version", NULL, 0},
    {"tag", "KEY=VALUE", "a tag; may be repeated", NULL, 0},
    {"metric", "KEY=NUMBER", "a metric; may be repeated", NULL, 0},
    {"feature", "NAME", "name of the next feature; may be repeated", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command deploy_commands[] = {
    {.path = "deploy",
     .args = "NAME PATH",
     .doc = "Make a model file or folder a version and serve it",
     .run = run_deploy,
     .options = options,
     .complete = COMPLETE_FILE,
     .examples = "  modelbus deploy churn ./model.json --wait\n"
                 "  modelbus deploy churn ./mlruns/model --endpoint churn-eu --wait\n"},
    {.path = NULL},
};
