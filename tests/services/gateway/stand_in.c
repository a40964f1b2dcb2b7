/* SPDX-License-Identifier: Apache-2.0 */
/* stand_in.c - answers on a thread of its own, as nng does. */
#include "stand_in.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stand_in stand_in;

struct job {
    rpc_done done;
    void *arg;
};

static void *
answer(void *arg)
{
    struct job *job = arg;
    uint8_t reply[4096];
    size_t len = 0;
    struct err err;

    if (stand_in.code)
        err_set(&err, stand_in.code, "scripted");
    else if (stand_in.reply)
        len = protobuf_c_message_pack(stand_in.reply, reply);
    job->done(job->arg, reply, len, stand_in.code ? &err : NULL);
    free(job);
    return NULL;
}

enum err_code
rpc_client_open(struct rpc_client **client, const struct rpc_client_options *options,
                struct err *err)
{
    (void)options;
    (void)err;
    *client = NULL;
    return ERR_OK;
}

void
rpc_client_free(struct rpc_client *client)
{
    (void)client;
}

void
rpc_call_async(struct rpc_client *client, const char *method, const struct auth_caller *caller,
               const char *request_id, int64_t deadline_ms, const void *body, size_t len,
               rpc_done done, void *arg)
{
    struct job *job = mem_alloc(sizeof(*job));
    pthread_t thread;

    (void)client;
    (void)deadline_ms;
    snprintf(stand_in.method, sizeof(stand_in.method), "%s", method);
    snprintf(stand_in.request_id, sizeof(stand_in.request_id), "%s", request_id);
    stand_in.caller = *caller;
    stand_in.trace = trace_current() ? *trace_current() : (struct trace){0};
    stand_in.calls++;
    memcpy(stand_in.body, body, len);
    stand_in.len = len;
    *job = (struct job){done, arg};
    if (pthread_create(&thread, NULL, answer, job) != 0)
        abort();
    pthread_detach(thread);
}
