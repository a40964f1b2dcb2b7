/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - a bus for a test: the real Kafka of MODELBUS_TEST_KAFKA, or an embedded bus of
 * the test's own, which it may kill and start again at the same address.
 *
 * Anything that fails here ends the test with a message.
 */
#pragma once

#include "bus/bus.h"

#include <sys/types.h>

#define WAIT_MS 30000 /* for what has to happen */

struct fixture {
    struct bus_options options;
    char brokers[256];
    char topic[128]; /* of the test's own, with one partition */
    pid_t devbus;    /* 0: real Kafka */
};

void fixture_kafka(struct fixture *f);
void fixture_devbus(struct fixture *f);
/* Real Kafka: deletes the topic. */
void fixture_close(struct fixture *f);
/* Another topic that the test made on real Kafka. */
void fixture_delete(const struct fixture *f, const char *name);
void fixture_grow(const struct fixture *f, int partitions); /* its topic, to so many */

/* kill -9, and gone. */
void fixture_kill(struct fixture *f);
/* An empty bus at the address of the killed one. */
void fixture_restart(struct fixture *f);

/* A producer that counts its reports. */
struct sent {
    struct bus_producer *producer;
    int delivered, failed;
    struct err err; /* of the last failure */
};
void sent_open(struct sent *s, const struct fixture *f);
void sent_message(struct sent *s, const struct bus_message *m);
/* Messages "<what> 0" to "<what> count-1" without a key, delivered. */
void sent_texts(struct fixture *f, const char *what, int count);
/* Until so many were delivered; a failure ends the test. */
void sent_wait(struct sent *s, int delivered);

/* The caller frees. */
struct bus_reader *fixture_reader(const struct fixture *f, const char *group);
/* The next event of a reader but BUS_NOTHING and BUS_ERROR. */
enum bus_event fixture_next(struct bus_reader *r, struct bus_message *m, void **handle);
/* The next event is a message with this value. */
void fixture_expect_text(struct bus_reader *r, const char *text);
void fixture_assign(struct fixture *f, struct bus_reader *r, int64_t offset);
/* Report one position; how it ended, with the reason in *err. */
enum bus_reported fixture_report(struct bus_reader *r, const struct bus_position *p,
                                 struct err *err);
int64_t fixture_now_ms(void);
