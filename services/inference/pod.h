/* SPDX-License-Identifier: Apache-2.0 */
/* pod.h - inside of routes.h: what predicting and describing handlers share. */
#pragma once

#include "routes.h"

struct face { /* one worker's memory */
    _Alignas(64) struct adapter_work work;
    struct buf body;
    uint64_t random[2];
    int64_t now_ms; /* of this turn; 0: not read yet */
};

struct pod {
    struct pod_options o;
    struct batcher *batcher;
    struct face *faces;
    int64_t started_ms;
};

/* The served model of the path's {endpoint}, entered for this turn; NULL: answered. */
struct model *pod_model(struct pod *pod, struct http_request *r, struct endpoint **endpoint);

void pod_predict(void *arg, struct http_request *r);
void pod_infer(void *arg, struct http_request *r);
