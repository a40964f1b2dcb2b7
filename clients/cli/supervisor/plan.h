/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what runs in a folder: addresses chosen once, and the table of parts.
 *
 * plan_make() decides everything before anything starts: folders, ports (remembered in
 * DIR/state.json, chosen again only when somebody else has taken them), the services' key,
 * DIR/env. A service is one row in plan.c; its environment is that of the supervisor plus the
 * row's settings with {variables} filled in.
 */
#pragma once

#include "part.h"
#include "postgres.h"

#include "err/err.h"

#include <jansson.h>

struct plan_options {
    const char *dir;      /* absolute */
    const char *kafka;    /* broker list; NULL: as last time; "embedded" or "": the embedded bus */
    const char *postgres; /* URL; NULL: as last time; "private" or "": the private cluster */
    const char *bus_prefix; /* NULL: as last time, at first "modelbus" */
    int gateway_port;       /* -1: as last time, at first 8080; 0: any free one */
    int inference_port;     /* -1: as last time, at first 8090; 0: any free one */
};

struct plan {
    char *dir;
    json_t *state; /* DIR/state.json */
    json_t *vars;  /* what {name} in a row stands for */
    json_t *env;   /* DIR/env */
    struct postgres postgres;
    struct part *parts; /* in the order of starting */
    size_t part_count;
};

/* The caller holds the folder's lock. ERR_CONFLICT: a port is taken; ERR_NOT_FOUND: a program or
 * PostgreSQL is not installed; ERR_UNAVAILABLE: the folder cannot be written. */
MUST_CHECK enum err_code plan_make(struct plan *plan, const struct plan_options *options,
                                   struct err *err);
void plan_done(struct plan *plan);
