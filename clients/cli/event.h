/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - the event bus as the commands use it: which one, which topic, events as JSON.
 */
#pragma once

#include "command.h"

#include "catalog.h"
#include "envelope.h"

/* Strings are borrowed for the life of *cli. */
MUST_CHECK enum err_code cli_bus(struct cli *cli, struct bus_options *bus, const char **prefix,
                                 struct err *err);
/* "registry", "modelbus.registry.v1.AliasMoved" or "AliasMoved" as a topic and, for a type, that
 * type. ERR_INVALID suggests. */
MUST_CHECK enum err_code cli_topic(const char *word, const struct event_topic **topic,
                                   const struct event_type **type, struct err *err);

enum err_code event_tail(struct cli *cli, struct err *err);
