/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - small models for tests, made from text. */
#pragma once

#include "model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* y = value + a + 2 b, endpoint "e"; every answer to zeros tells which model gave it. */
static inline struct model *
fixture_model(int64_t version, double value)
{
    char json[256];
    struct runtime *runtime;
    struct model *model;
    struct err err = {0};
    const struct model_spec spec = {
        .endpoint = "e", .name = "m", .version = version, .generation = version};

    snprintf(json, sizeof(json),
             "{\"modelbus_linear\":1,\"link\":\"identity\",\"coef\":[[1,2]],\"intercept\":[%.9g],"
             "\"feature_names\":[\"a\",\"b \\\"x\\\"\"]}",
             value);
    if (runtime_open(NULL, json, strlen(json), &runtime, &err) ||
        model_new(&spec, runtime, &model, &err)) {
        fprintf(stderr, "fixture: %s\n", err.message);
        abort();
    }
    return model;
}
