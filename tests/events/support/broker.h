/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - a real Kafka broker of a test's own, which it may kill and start again.
 *
 * Made with tests/support/kafka.sh in a folder of its own. A shell watches over it: it goes when the
 * test ends, also when it crashes. Anything that fails here ends the test with a message.
 */
#pragma once

#include <stdio.h>

struct broker {
    char folder[64];
    char brokers[128]; /* bootstrap list */
    FILE *guard;
};

/* properties: more lines of the broker's configuration; NULL: none. */
void broker_up(struct broker *b, const char *properties);
void broker_kill(struct broker *b); /* SIGKILL */
void broker_restart(struct broker *b);
void broker_down(struct broker *b); /* and its folder */
