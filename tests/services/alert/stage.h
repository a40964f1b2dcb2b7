/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.h - the alert service's handlers on a real database, with an HTTP receiver and a clock that
 * a test moves.
 */
#pragma once

#include "../fixture.h"
#include "changes.h"
#include "delivery.h"
#include "http/http.h"

#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/monitoring/v1/events.pb-c.h"
#include "modelbus/serving/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, stage.f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, stage.f.err.message)
#define HEARD_MAX 200

struct heard {
    char path[100], id[64], key[64], authorization[100];
    json_t *body;
};

struct stage {
    struct fixture f;
    struct alert_settings settings;
    struct alert_state state;
    struct address_list allowed;
    int64_t moved_ms; /* of the clock */
    struct http_server *server;
    char url[64];
    int status; /* what the receiver answers; 0: 200 */
    struct heard heard[HEARD_MAX];
    size_t heard_count;
};
extern struct stage stage;

void stage_open(void);
void stage_close(void);

/* Deliver all that is due now; how many steps did something. */
size_t stage_deliver(void);
/* Put a webhook at the receiver, and a route that sends every alert there. more: further JSON
 * fields of the route. */
void stage_route(const char *route_fields);
/* A command with its request as JSON; the reply as JSON, of the arena. */
enum err_code stage_call(const char *method, const char *request, json_t **reply);
json_t *stage_ask(const char *method, const char *request); /* must succeed */

enum err_code stage_drift(const char *endpoint);
enum err_code stage_clear(const char *endpoint);
enum err_code stage_load_failed(const char *endpoint);

/* Of what the receiver heard: "firing churn,fraud" */
const char *stage_told(size_t at);
/* Id of the firing alert with this endpoint. */
const char *stage_alert_id(const char *endpoint);
