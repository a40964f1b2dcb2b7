/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reporter.h - says the ends of tasks, together when there are several.
 *
 * One request is under way at a time, made by the thread of a task that has ended; those that end meanwhile go with
 * the next one. So a single end waits for nothing, and many cost few requests.
 */
#pragma once

#include "gateway.h"

#define REPORTER_ENDINGS_MAX 32                 /* of one request */
#define REPORTER_BYTES_MAX (256 * (size_t)1024) /* but for a single one */

struct reporter;
/* What an answer brings: more tasks, for any of the threads. Called before the ends that it answers are done. */
typedef void reporter_brings(void *arg, Lease *const *leases, size_t count);

/* Lives as long as the process. */
struct reporter *reporter_new(struct gateway *gateway, const char *instance,
                              reporter_brings *brings,
                              void *arg); /* gateway and instance are borrowed */

/* Blocks until the gateway has taken or refused it, or could not be asked. ERR_PRECONDITION: the lease is lost. An
 * end that makes a request fail is asked for alone. Any thread. */
MUST_CHECK enum err_code reporter_say(struct reporter *reporter, TaskEnding *ending,
                                      struct err *err);
/* Ends what is under way and what comes, with ERR_CANCELLED. */
void reporter_give_up(struct reporter *reporter);
