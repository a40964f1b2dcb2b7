/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_chain.h - which events belong together: by cause, and by trace.
 *
 * Every event that was read becomes a link. The chain of one event is the event itself, what caused
 * it, what those caused, and so on (ce_causationid), and the events of its own trace: those say what
 * belongs together where a cause is not known, as behind a command. An event that was delivered
 * twice (source and id) is one link. Links and the chain live until chain_free().
 */
#pragma once

#include "envelope.h"

#define CHAIN_BYTES_MAX ((size_t)512 << 20) /* of links with their events */
#define CHAIN_LENGTH_MAX 2000               /* events of one chain */

struct link {
    const char *id, *source, *type, *subject, *workspace, *cause, *traceparent; /* "" is none */
    const char *topic;
    int32_t partition;
    int64_t offset, time_ms;
    const void *value; /* packed; NULL: none */
    size_t value_len;
    struct link *parent; /* of the chain */
    unsigned depth;      /* below the first of its tree */
    bool member, placed;
};

struct chain;
struct chain *chain_new(void);
void chain_free(struct chain *chain);
CLEANUP_DEFINE(struct chain, chain_free)

/* Copies. False: CHAIN_BYTES_MAX is reached. */
bool chain_add(struct chain *chain, const struct event_envelope *envelope,
               const struct bus_message *message);

/* Id of the newest event of a type (its full name) and subject (NULL: any); NULL: there is none. */
const char *chain_newest(const struct chain *chain, const char *type, const char *subject);

/*
 * The chain of the events with this id as trees, each event before what it caused, in the order of
 * time else. *links: an array of the chain's. *more: it is longer than CHAIN_LENGTH_MAX. Once a
 * chain. ERR_NOT_FOUND.
 */
MUST_CHECK enum err_code chain_of(struct chain *chain, const char *id, struct link ***links,
                                  size_t *count, bool *more, struct err *err);
