/* SPDX-License-Identifier: Apache-2.0 */
/* event_scan.c - everything that topics hold at this moment, once. */
#include "event.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS 5000
#define POLL_MS 200
#define SILENCE_S 10 /* of a bus that has not given all that it said it has */
#define PARTITIONS_MAX 1024

struct scan {
    struct bus_reader *reader;
    struct bus_position from[PARTITIONS_MAX];
    int64_t end[PARTITIONS_MAX]; /* -1: reached */
    size_t count, behind;
    int64_t total, seen;
    bool drawn; /* a line of progress is on the terminal */
};

static enum err_code
add_topic(struct scan *s, const char *name, struct err *err)
{
    int32_t partitions;
    enum err_code code = bus_reader_partitions(s->reader, name, ASK_MS, &partitions, err);

    if (code) /* nobody has said anything there yet */
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low, high;
        if (s->count == PARTITIONS_MAX)
            return err_set(err, ERR_TOO_LARGE, "over %d partitions: name fewer topics",
                           PARTITIONS_MAX);
        if (bus_reader_bounds(s->reader, name, p, ASK_MS, &low, &high, err))
            return err->code;
        if (low >= high)
            continue;
        struct bus_position *from = &s->from[s->count];
        *from = (struct bus_position){.partition = p, .offset = low};
        snprintf(from->topic, sizeof(from->topic), "%s", name);
        s->end[s->count++] = high;
        s->total += high - low;
    }
    return ERR_OK;
}

static void
passed(struct scan *s, const char *topic, int32_t partition, int64_t next)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->from[i].partition != partition || strcmp(s->from[i].topic, topic) != 0)
            continue;
        if (s->end[i] >= 0 && next >= s->end[i]) {
            s->end[i] = -1;
            s->behind--;
        }
        return;
    }
}

static void
draw(struct scan *s, bool last)
{
    if (!isatty(STDERR_FILENO) || (last && !s->drawn))
        return;
    if (last)
        fputs("\r\033[K", stderr);
    else
        fprintf(stderr, "\r%lld of %lld events ", (long long)s->seen, (long long)s->total);
    fflush(stderr);
    s->drawn = !last;
}

static enum err_code
read_all(struct scan *s, bool (*visit)(void *arg, const struct bus_message *message), void *arg,
         struct err *err)
{
    time_t heard = time(NULL), told = heard;
    bool going = true;

    while (s->behind > 0 && going) {
        struct bus_message message;
        void *handle = NULL;
        time_t now = time(NULL);
        switch (bus_reader_poll(s->reader, POLL_MS, &message, &handle, err)) {
        case BUS_MESSAGE:
            heard = now;
            s->seen++;
            going = visit(arg, &message);
            passed(s, message.topic, message.partition, message.offset + 1);
            bus_message_done(handle);
            break;
        case BUS_CLUSTER_CHANGED:
        case BUS_OFFSET_LOST:
            return err_set(err, ERR_UNAVAILABLE, "the bus has changed meanwhile: ask again");
        case BUS_ERROR: /* the reader goes on by itself; silence ends it */
        case BUS_NOTHING:
            if (now - heard >= SILENCE_S)
                return err_set(err, ERR_UNAVAILABLE, "the bus gave nothing for %d s", SILENCE_S);
            break;
        }
        if (now > told) {
            told = now;
            draw(s, false);
        }
    }
    return ERR_OK;
}

enum err_code
event_scan(struct cli *cli, const struct event_topic *const *topics, size_t count,
           bool (*visit)(void *arg, const struct bus_message *message), void *arg, struct err *err)
{
    CLEANUP(mem_free) struct scan *s = mem_zalloc(sizeof(*s));
    CLEANUP(bus_reader_free) struct bus_reader *reader = NULL;
    struct bus_options bus;
    const char *prefix;
    char name[256];

    if (cli_bus(cli, &bus, &prefix, err) || bus_reader_open(&reader, &bus, NULL, err))
        return err->code;
    s->reader = reader;
    for (size_t i = 0; i < count; i++) {
        event_topic_name(prefix, topics[i]->suffix, name);
        if (add_topic(s, name, err))
            return err_wrap(err, "%s", name);
    }
    s->behind = s->count;
    if (s->count && bus_reader_assign(reader, s->from, s->count, err))
        return err->code;
    enum err_code code = read_all(s, visit, arg, err);
    draw(s, true);
    return code;
}
