/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - what every long-running program on the bus has: common settings, a name on the bus,
 * the log's level, SIGHUP, graceful stop, exit code.
 *
 * service_main() is built on it; a program with parts of its own (the inference pod) fills a struct
 * process and returns process_main() from main(). In order: --version, --help, --describe or the
 * settings; configured(), start(), then SIGTERM; the steps of life_on_stop(), ended().
 *
 * Exit codes: 0 graceful stop, 1 start failed, 2 wrong configuration, 3 requests were cut off because
 * they outlasted DRAIN_MS. A bus or a database that is away spoils no stop: what is not said yet is
 * in the outbox.
 */
#pragma once

#include "bus/bus.h"
#include "config/config.h"

/* Names as <PREFIX>_<NAME>. */
struct process_settings {
    char *brokers;
    char *bus_prefix; /* of topics, "modelbus" */
    char *bus_properties;
    int64_t bus_fetch_wait_ms;
    int64_t drain_ms;
    char *log_level;
};

/* The rows of struct process_settings: of every process, and of those on the bus. */
extern const struct config_key process_rows[];
extern const struct config_key process_bus_rows[];

/* The calls get arg; all but start may be NULL. */
struct process {
    /* ---- set by the program, borrowed ---- */
    const char *name;                  /* "registry": modelbus-<name>, log */
    const char *prefix;                /* "REGISTRY" */
    const char *doc;                   /* one sentence */
    const struct config_table *tables; /* {process_rows, &settings} and others */
    char *const *named;                /* the setting that names this instance */
    void *arg;
    void (*describe)(void *arg);                             /* --describe, to standard output */
    enum err_code (*configured)(void *arg, struct err *err); /* may refuse the settings */
    enum err_code (*start)(void *arg, struct err *err); /* registers what it started (life.h) */
    void (*reloaded)(void *arg);                        /* after config_reload() */
    void (*ended)(void *arg);                           /* when everything has stopped */

    /* ---- filled before configured() ---- */
    struct process_settings settings;
    char instance[200];     /* *named, or host name and process id */
    struct bus_options bus; /* as this instance */

    /* ---- private ---- */
    char client_id[256];
    struct config *config;
};

int process_main(struct process *process, int argc, char **argv);
