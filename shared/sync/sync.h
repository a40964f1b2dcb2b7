/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.h - condition variables with a deadline on CLOCK_MONOTONIC, which nobody sets back.
 *
 *     pthread_mutex_lock(&lock);
 *     while (!done && sync_wait(&changed, &lock, until_ms))
 *         ;
 *
 * A wait may return early without a signal, as pthread_cond_wait() does: always check what is
 * waited for.
 */
#pragma once

#include "err/err.h"

#include <pthread.h>

/* A condition for sync_wait(); end it with pthread_cond_destroy(). */
void sync_cond_init(pthread_cond_t *cond);

/* Wait with the lock held until signalled or until_ms (CLOCK_MONOTONIC; INT64_MAX: for ever).
 * False: the time is over. */
bool sync_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);
