/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - modelbus-supervisor, which `modelbus local up` executes. Wires parts, decides
 * nothing.
 *
 *   modelbus-supervisor --dir DIR [--gateway-port N] [--inference-port N] [--kafka BROKERS]
 *                       [--postgres URL] [--bus-prefix PREFIX] [--notify-fd N]
 *
 * --notify-fd N: one line of JSON is written there when all is ready ({"ready":true,"ms":812}) or
 * when it cannot be ({"error":"CONFLICT","message":"..."}); without it the same is told on
 * standard output. Logs go to standard error.
 */
#include "supervisor.h"

#include "localdir/localdir.h"
#include "log/log.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct program {
    struct plan plan;
    int notify; /* -1: none */
    int lock;
};

static void
notify(struct program *program, json_t *line)
{
    CLEANUP(mem_free) char *text = json_dumps(line, JSON_COMPACT);

    json_decref(line);
    if (program->notify < 0)
        return;
    if (dprintf(program->notify, "%s\n", text) < 0)
        log_warn("nobody listens to the notification");
    close(program->notify);
    program->notify = -1;
}

static void
on_ready(void *arg, int64_t ms)
{
    struct program *program = arg;

    log_info("ready", LOG_INT("ms", ms));
    if (program->notify < 0) {
        printf("modelbus is ready after %.1f s\n", (double)ms / 1000);
        localdir_env_print(program->plan.dir, program->plan.env, stdout);
        fflush(stdout);
    }
    notify(program, json_pack("{sb sI}", "ready", 1, "ms", (json_int_t)ms));
}

static enum err_code
number(const char *text, int *value, struct err *err)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (!*text || *end || n < 0 || n > 65535)
        return err_set(err, ERR_INVALID, "'%s' is not a number from 0 to 65535", text);
    *value = (int)n;
    return ERR_OK;
}

static enum err_code
parse(int argc, char **argv, struct plan_options *options, int *notify_fd, struct err *err)
{
    enum { DIR = 1, GATEWAY_PORT, INFERENCE_PORT, KAFKA, POSTGRES, BUS_PREFIX, NOTIFY_FD };
    static const struct option names[] = {
        {"dir", required_argument, NULL, DIR},
        {"gateway-port", required_argument, NULL, GATEWAY_PORT},
        {"inference-port", required_argument, NULL, INFERENCE_PORT},
        {"kafka", required_argument, NULL, KAFKA},
        {"postgres", required_argument, NULL, POSTGRES},
        {"bus-prefix", required_argument, NULL, BUS_PREFIX},
        {"notify-fd", required_argument, NULL, NOTIFY_FD},
        {NULL, 0, NULL, 0}};
    enum err_code code = ERR_OK;
    int option;

    while (!code && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == DIR)
            options->dir = optarg;
        else if (option == GATEWAY_PORT)
            code = number(optarg, &options->gateway_port, err);
        else if (option == INFERENCE_PORT)
            code = number(optarg, &options->inference_port, err);
        else if (option == KAFKA)
            options->kafka = optarg;
        else if (option == POSTGRES)
            options->postgres = optarg;
        else if (option == BUS_PREFIX)
            options->bus_prefix = optarg;
        else if (option == NOTIFY_FD)
            code = number(optarg, notify_fd, err);
        else
            code =
                err_set(err, ERR_INVALID, "started with a wrong option; use `modelbus local up`");
    }
    if (!code && (!options->dir || options->dir[0] != '/'))
        code = err_set(err, ERR_INVALID, "--dir with an absolute path is required");
    return code;
}

static enum err_code
run(struct program *program, const struct plan_options *options, struct err *err)
{
    struct supervisor supervisor = {.plan = &program->plan,
                                    .tell = program->notify < 0 ? stdout : NULL,
                                    .on_ready = on_ready,
                                    .arg = program};
    CLEANUP(mem_free) char *run_folder = localdir_path(options->dir, "run");

    if (localdir_make(options->dir, geteuid() ? 0700 : 0755, err) ||
        localdir_make(run_folder, 0700, err) || localdir_lock(options->dir, &program->lock, err) ||
        supervisor_signals(&supervisor, err) || plan_make(&program->plan, options, err))
        return err->code;
    return supervisor_run(&supervisor, err);
}

int
main(int argc, char **argv)
{
    struct plan_options options = {.gateway_port = -1, .inference_port = -1};
    struct program program = {.notify = -1, .lock = -1};
    struct err err = {0};

    log_init("supervisor", LOG_INFO);
    if (parse(argc, argv, &options, &program.notify, &err)) {
        fprintf(stderr, "modelbus-supervisor: %s\n", err.message);
        return 2;
    }
    if (program.notify >= 0)
        fcntl(program.notify, F_SETFD, FD_CLOEXEC);
    enum err_code code = run(&program, &options, &err);
    if (code) {
        log_error("stopped", LOG_ERR(&err));
        if (program.notify < 0)
            fprintf(stdout, "modelbus: %s\n", err.message);
        notify(&program, json_pack("{ss ss}", "error", err_name(err.code), "message", err.message));
    }
    plan_done(&program.plan);
    if (program.lock >= 0)
        close(program.lock);
    return code ? 1 : 0;
}
