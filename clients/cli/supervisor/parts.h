/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h - the table of services that a local platform runs. A new service is a row in parts.c.
 */
#pragma once

#include <stddef.h>

struct part_row {
    const char *name;     /* "registry": the program is modelbus-registry */
    const char *prefix;   /* of its settings, "REGISTRY" */
    const char *settings; /* "NAME=value" lines, without the prefix; {x} is a variable of plan.c */
    const char *port;     /* variable that holds the port which answers /readyz */
    unsigned phase;       /* of stopping: the highest goes first (see part.h) */
};

enum { PHASE_DATABASE, PHASE_BUS, PHASE_SERVICE, PHASE_EDGE };

extern const struct part_row part_rows[];
extern const size_t part_row_count;
