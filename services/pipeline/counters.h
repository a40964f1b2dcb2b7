/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - what the service counts. Any thread.
 *
 * All series are there with 0 from counters_open() on: Prometheus sees the first of a kind as an increase. A transaction
 * that is done again counts again.
 */
#pragma once

void counters_open(void);
void counters_run(const char *status);     /* a run has ended: "succeeded", "failed", "cancelled" */
void counters_trigger(const char *result); /* "started", "passed_over" */
void counters_lost(void);                  /* an attempt, with its worker */
