/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadletter.h - messages that a service could not handle, kept whole.
 *
 * A letter is a row of the service's dead_letter table, written in the transaction that moves the offset
 * past the message, and an event modelbus.bus.v1.DeadLetter on <prefix>.dlq for
 * whoever watches; the event leaves the value out when both would not fit a message. Letters whose envelope
 * names no readable workspace belong to "default". Their texts are cut to be valid UTF-8.
 */
#pragma once

#include "outbox.h"

struct dead_letter {
    const char *service, *cluster;
    const struct bus_message *message;
    const struct event_envelope *envelope; /* as far as it could be read */
    const struct err *why;
};
/* Within conn's transaction. A letter that is there already stays as it is. */
MUST_CHECK enum err_code dead_letter_write(struct db_conn *conn, struct outbox *outbox,
                                           const struct dead_letter *letter, struct arena *arena,
                                           struct err *err);

struct dead_letter_row {
    const char *id, *topic, *event_type, *error_code, *error_message;
    int32_t partition;
    int64_t offset;
    int64_t failed_at_ms, replayed_at_ms; /* replayed_at_ms 0: not replayed */
    struct bus_message message;           /* empty in lists */
};
/* Newest first. *rows in arena; page_token as in db/db_page.h, *next_token "" at the end. */
MUST_CHECK enum err_code dead_letter_list(struct db_conn *conn, const char *workspace,
                                          uint32_t page_size, const char *page_token,
                                          bool include_replayed, struct arena *arena,
                                          struct dead_letter_row **rows, size_t *count,
                                          const char **next_token, struct err *err);
/* ERR_NOT_FOUND. lock: for the rest of the transaction. */
MUST_CHECK enum err_code dead_letter_get(struct db_conn *conn, const char *workspace,
                                         const char *id, bool lock, struct arena *arena,
                                         struct dead_letter_row *row, struct err *err);
MUST_CHECK enum err_code dead_letter_mark_replayed(struct db_conn *conn, const char *id,
                                                   int64_t *replayed_at_ms, struct err *err);
