/* SPDX-License-Identifier: Apache-2.0 */
/* service_parts.h - what service.c, describe.c and admin.c share; inside of service.h. */
#pragma once

#include "service.h"

/* Rows of struct service_settings, with the spec's defaults filled in. */
#define SETTING_ROWS 24
void service_setting_rows(const struct service_spec *spec, struct config_key rows[SETTING_ROWS],
                          char http_bind[64]);

/* --describe: settings, queries, events as one JSON object on standard output. */
void service_describe(const struct service_spec *spec, const struct config_table *tables);

/* What /healthz asks: the name of a part that is stuck, or NULL. stuck NULL: nothing is asked. Once this
 * has returned, the one before is not called any more. */
void service_watch(const char *(*stuck)(void *arg), void *arg);
MUST_CHECK enum err_code service_admin_start(struct http_server **server, const char *bind,
                                             struct err *err);
