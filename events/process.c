/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - a program's way from its command line to its exit code. */
#include "process.h"

#include "life/life.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_CONFIG 2
#define EXIT_DRAIN 3

#define S struct process_settings

const struct config_key process_bus_rows[] = {
    CONFIG_STR(S, "BROKERS", brokers, "127.0.0.1:9092",
               "Kafka bootstrap list, host:port,host:port"),
    CONFIG_INT(S, "BUS_FETCH_WAIT_MS", bus_fetch_wait_ms, "500", 1, 10000,
               "How long the broker may hold an empty fetch; 500 on real Kafka, 10 on the embedded "
               "bus"),
    CONFIG_STR(S, "BUS_PREFIX", bus_prefix, "modelbus", "First part of every topic's name"),
    CONFIG_STR(S, "BUS_PROPERTIES", bus_properties, NULL,
               "More librdkafka properties, name=value;name=value (TLS, SASL)"),
    CONFIG_END,
};

const struct config_key process_rows[] = {
    {.name = "DRAIN_MS",
     .type = CONFIG_TYPE_INT,
     .offset = offsetof(S, drain_ms),
     .fallback = "10000",
     .min = 0,
     .max = 600000,
     .reloadable = true,
     .doc = "Time that a graceful stop may take"},
    {.name = "LOG_LEVEL",
     .type = CONFIG_TYPE_CHOICE,
     .offset = offsetof(S, log_level),
     .fallback = "info",
     .choices = "debug|info|warn|error",
     .reloadable = true,
     .doc = "Least severe lines to write"},
    CONFIG_END,
};

static void
reload(void *arg)
{
    struct process *p = arg;
    char *ignored = NULL;
    enum log_level level;
    struct err err = {0};

    if (config_reload(p->config, &ignored, &err) ||
        log_level_parse(p->settings.log_level, &level, &err)) {
        log_error("settings not reloaded", LOG_ERR(&err));
        return;
    }
    log_set_level(level);
    log_info("settings reloaded", LOG_STR("need_restart", ignored ? ignored : ""));
    free(ignored);
    if (p->reloaded)
        p->reloaded(p->arg);
}

static MUST_CHECK enum err_code
configure(struct process *p, int argc, char **argv, struct err *err)
{
    enum log_level level;
    char host[128] = "localhost";

    if (config_load(&p->config, p->prefix, p->tables, argc - 1, argv + 1, err) ||
        log_level_parse(p->settings.log_level, &level, err))
        return err->code;
    log_set_level(level);
    if (*p->named && **p->named) {
        snprintf(p->instance, sizeof(p->instance), "%s", *p->named);
    } else {
        gethostname(host, sizeof(host) - 1);
        snprintf(p->instance, sizeof(p->instance), "%s-%d", host, (int)getpid());
    }
    snprintf(p->client_id, sizeof(p->client_id), "%.40s-%s", p->name, p->instance);
    p->bus = (struct bus_options){
        .brokers = p->settings.brokers,
        .client_id = p->client_id,
        .fetch_wait_ms = p->settings.bus_fetch_wait_ms,
        .properties = p->settings.bus_properties,
    };
    return p->configured ? p->configured(p->arg, err) : ERR_OK;
}

static int
run(struct process *p)
{
    struct err err = {0};
    int status = EXIT_FAILED;

    life_on_reload(reload, p);
    if (p->start(p->arg, &err) == ERR_OK)
        status = life_wait();
    else if (err.code == ERR_CANCELLED && life_stopping())
        status = 0;
    else
        log_error("start failed", LOG_ERR(&err));
    bool complete = life_shutdown(p->settings.drain_ms);
    log_info("stopped", LOG_BOOL("complete", complete));
    if (p->ended)
        p->ended(p->arg);
    return status == 0 && !complete ? EXIT_DRAIN : status;
}

int
process_main(struct process *p, int argc, char **argv)
{
    struct err err = {0};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0)
            return printf("modelbus-%s %s\n", p->name, MODELBUS_VERSION) > 0 ? 0 : EXIT_FAILED;
        if (strcmp(argv[i], "--help") == 0) {
            printf("modelbus-%s - %s\n\n", p->name, p->doc);
            config_help(p->prefix, p->tables, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--describe") == 0 && p->describe) {
            p->describe(p->arg);
            return 0;
        }
    }
    log_init(p->name, LOG_INFO);
    if (configure(p, argc, argv, &err)) {
        log_error("configuration", LOG_ERR(&err));
        config_free(p->config);
        return EXIT_CONFIG;
    }
    life_init();
    int status = run(p);
    config_free(p->config);
    return status;
}
