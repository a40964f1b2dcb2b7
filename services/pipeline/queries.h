/* SPDX-License-Identifier: Apache-2.0 */
/* queries.h - how queries.c (people) and queries_work.c (workers) share one table. */
#pragma once

#include "work.h"

/* REQUEST(GetPipeline), RESPONSE(GetPipeline): the generated types. */
#define REQUEST(method) const Modelbus__Pipeline__V1__##method##Request
#define RESPONSE(method) Modelbus__Pipeline__V1__##method##Response
#define HANDLER(name, method)                                                                      \
    enum err_code name(void *arg, REQUEST(method) * request, RESPONSE(method) * response,          \
                       struct rpc_call * call, struct err * err)

HANDLER(poll_tasks, PollTasks);
HANDLER(finish_tasks, FinishTasks);
HANDLER(write_task_log, WriteTaskLog);
HANDLER(list_workers, ListWorkers);
HANDLER(drain_worker, DrainWorker);

MUST_CHECK enum err_code check_id(const char *what, const char *id, struct err *err);

/* A long poll waits WORK_POLL_MAX_MS at most. */
MUST_CHECK enum err_code check_wait(uint32_t wait_ms, struct err *err);
/* Until when a long poll may wait, for rpc_wait(). */
static inline int64_t
until_ms(const struct rpc_call *call, uint32_t wait_ms)
{
    return call->received_ms + wait_ms;
}
