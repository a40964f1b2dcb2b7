/* SPDX-License-Identifier: Apache-2.0 */
/*
 * on_drift.c - an alert handler with modelbus' own libraries: prints each DriftDetected.
 *
 *     . ~/.local/share/modelbus/env && on_drift [COUNT]
 *
 * A follower needs neither a group nor a database: it reads the topic from its beginning each time, so act by
 * the episode's id. What must not be done twice across restarts belongs into a service (events/service.h).
 */
#include "follower.h"

#include "modelbus/monitoring/v1/events.pb-c.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

typedef Modelbus__Monitoring__V1__DriftDetected DriftDetected;

static sem_t heard;

/* On the follower's thread. */
static void
on_event(void *arg, const struct event_type *type, const struct event_envelope *envelope,
         const ProtobufCMessage *event, const struct bus_message *message)
{
    (void)arg;
    (void)envelope;
    (void)message;
    if (!event || type->descriptor != &modelbus__monitoring__v1__drift_detected__descriptor)
        return;
    const DriftDetected *drift = (const DriftDetected *)event;
    printf("%s: %u of %u columns of %s version %lld drifted, episode %s\n", drift->endpoint,
           drift->drifted, drift->checked, drift->model_name, (long long)drift->version,
           drift->episode);
    for (size_t i = 0; i < drift->n_columns; i++)
        printf("    %s: %s %.3f\n", drift->columns[i]->column, drift->columns[i]->method,
               drift->columns[i]->statistic);
    fflush(stdout);
    sem_post(&heard);
}

int
main(int argc, char **argv)
{
    const char *brokers = getenv("MODELBUS_BROKERS"), *prefix = getenv("MODELBUS_BUS_PREFIX");
    long count = argc > 1 ? atol(argv[1]) : 0;
    struct follower_options options = {
        .bus = {.brokers = brokers ? brokers : "127.0.0.1:9092",
                .client_id = "on-drift",
                .fetch_wait_ms = 500},
        .prefix = prefix ? prefix : "modelbus",
        .topic = "monitoring",
        .on_event = on_event,
    };
    struct follower *follower;
    struct err err;

    sem_init(&heard, 0, 0);
    if (follower_start(&follower, &options, &err)) {
        fprintf(stderr, "on_drift: %s: %s\n", err_name(err.code), err.message);
        return 1;
    }
    for (long i = 0; count == 0 || i < count; i++)
        while (sem_wait(&heard) != 0)
            ;
    follower_stop(follower);
    return 0;
}
