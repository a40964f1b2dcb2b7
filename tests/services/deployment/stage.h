/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h - the deployment service's handlers on a real database, and an endpoint "iris" of a model "iris". */
#pragma once

#include "../fixture.h"
#include "changes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, stage.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, stage.err.message)

typedef Modelbus__Deployment__V1__EndpointState EndpointState;

extern struct fixture stage;

void stage_open(void);
void stage_close(void);

/* ---- what others say ---- */

/* A version of the model, with the artifact URI and the features a and b. */
enum err_code stage_registered(int64_t version);
/* The alias "champion"; version 0: it is removed. */
enum err_code stage_alias_moved(int64_t version, int64_t revision);
enum err_code stage_loaded(const char *pod, int64_t generation, int64_t version);
enum err_code stage_load_failed(const char *pod, int64_t generation, int64_t version,
                                int64_t serving);

/* ---- what callers ask ---- */

/* *endpoint (may be NULL) is the reply. */
enum err_code stage_create(const char *name, const char *alias, int64_t version,
                           Endpoint **endpoint);
Endpoint *stage_get(void);
enum err_code stage_rollback(int64_t to_version); /* 0: to the version before */
EndpointState *stage_last_state(void);
/* Versions 1..n are registered, the champion is 1 and served by pod-a as generation 1. */
void stage_serving_first_of(int64_t versions);
