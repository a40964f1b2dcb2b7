/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - a service's handlers on a real database, without bus and without rpc.
 *
 * Each test has a schema of its own, migrated as the service would, and an outbox that nobody
 * relays, so that a test reads what was said from its table. Handlers are called as their
 * dispatchers call them: in a transaction that is committed when they succeed.
 * A failed assertion ends the test (Criterion); needs MODELBUS_TEST_POSTGRES_URL.
 */
#pragma once

#include "service.h"

struct fixture {
    struct service service;
    struct service_spec spec;
    char schema[64];
    struct arena *arena; /* of the test: replies live here */
    struct err err;      /* of the last call */
    const char *workspace, *subject;
    const char *source;      /* of events that are heard */
    const char *traceparent; /* the same; NULL: none */
};

void fixture_open(struct fixture *f, const struct service_spec *spec);
void fixture_close(struct fixture *f); /* drops the schema */

/* Call a method of the service's table. *reply is unpacked nowhere: it is the handler's
 * message, in the fixture's arena. Returns the handler's code, f->err the message. */
enum err_code fixture_call(struct fixture *f, const char *method, const void *request, void *reply);
/* The same on any thread, with own arena and error. */
enum err_code fixture_call_in(struct fixture *f, struct arena *arena, const char *method,
                              const void *request, void *reply, struct err *err);

/* Let the service hear an event with this id. */
enum err_code fixture_hear(struct fixture *f, const char *event_id, const void *event);

/* How many events of this type were said ("AliasMoved"). */
int64_t fixture_said(struct fixture *f, const char *type);
/* The last one said of this type, unpacked in the arena; the test fails when there is none. */
void *fixture_last(struct fixture *f, const ProtobufCMessageDescriptor *type);
/* A number from one statement. */
int64_t fixture_number(struct fixture *f, const struct db_stmt *stmt);

#define CALL(f, method, request, reply) fixture_call(f, method, request, reply)
