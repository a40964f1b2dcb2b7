/* SPDX-License-Identifier: Apache-2.0 */
/* Answers without a known end: written from other threads, by listeners that stay, leave, or do not read. */
#include "http/http.h"
#include "life/life.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 4096
#define LINES 2000

static struct http_server *server;
static struct http_stream *opened;
static sem_t arrived;

static void
open_stream(void *arg, struct http_request *r)
{
    (void)arg;
    opened = http_reply_stream(r, 200, "text/plain", ROOM);
    sem_post(&arrived);
}

static const struct http_route routes[] = {{"GET", "/stream", open_stream, NULL, 0, NULL}, {0}};

static void
start(void)
{
    struct http_server_options options = {
        .bind = "127.0.0.1:0", .threads = 1, .routes = routes, .idle_timeout_s = 20};
    struct err err = {0};

    sem_init(&arrived, 0, 0);
    cr_assert_eq(http_server_start(&server, &options, &err), ERR_OK, "%s", err.message);
}

TestSuite(http_stream, .init = start, .timeout = 60);

/* A client that has asked for the stream. */
static int
ask(void)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(server))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert_eq(send(fd, request, sizeof(request) - 1, 0), (ssize_t)sizeof(request) - 1);
    sem_wait(&arrived);
    return fd;
}

/* Everything until the connection ends. */
static char *
read_all(int fd)
{
    struct buf text = {0};
    char chunk[4096];
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
        buf_add(&text, chunk, (size_t)n);
    close(fd);
    return buf_take(&text);
}

static void *
write_lines(void *arg)
{
    struct http_stream *stream = arg;

    for (int i = 0; i < LINES; i++) {
        char line[32];
        int len = snprintf(line, sizeof(line), "<%d>", i);
        enum http_stream_state state;
        while ((state = http_stream_write(stream, line, (size_t)len)) == HTTP_STREAM_FULL)
            sched_yield();
        cr_assert_eq(state, HTTP_STREAM_GOOD);
    }
    http_stream_close(stream, "end", 3);
    return NULL;
}

static void
stop(void)
{
    cr_assert(http_server_stop(server, life_monotonic_ms() + 5000));
}

Test(http_stream, is_written_by_another_thread_in_order, .fini = stop)
{
    CLEANUP(mem_free) char *text = NULL;
    pthread_t writer;
    int fd = ask();
    int count = 0;

    cr_assert_eq(pthread_create(&writer, NULL, write_lines, opened), 0);
    text = read_all(fd);
    pthread_join(writer, NULL);
    cr_assert(strstr(text, "Transfer-Encoding: chunked") && strstr(text, "Connection: close"));
    /* Chunks may end within a line: only what is between them counts. */
    char *body = strstr(text, "\r\n\r\n") + 4, *to = body;
    for (char *p = body; *p;) {
        char *start_of_chunk;
        size_t len = strtoul(p, &start_of_chunk, 16);
        memmove(to, start_of_chunk + 2, len);
        to += len;
        p = start_of_chunk + 2 + len + 2;
        if (len == 0)
            break;
    }
    *to = '\0';
    for (char *p = body; *p == '<'; count++) {
        cr_assert_eq(atoi(p + 1), count);
        p = strchr(p, '>') + 1;
        if (count == LINES - 1)
            cr_assert_str_eq(p, "end");
    }
    cr_assert_eq(count, LINES);
}

Test(http_stream, says_when_nobody_takes_it, .fini = stop)
{
    static char block[1024];
    enum http_stream_state state;
    size_t taken = 0;
    int fd = ask();

    memset(block, 'x', sizeof(block));
    do {
        state = http_stream_write(opened, block, sizeof(block));
        taken += state == HTTP_STREAM_GOOD ? sizeof(block) : 0;
        /* Until the socket is full as well. */
        for (int i = 0; i < 100 && state == HTTP_STREAM_FULL; i++) {
            usleep(1000);
            state = http_stream_write(opened, block, sizeof(block));
            taken += state == HTTP_STREAM_GOOD ? sizeof(block) : 0;
        }
    } while (state == HTTP_STREAM_GOOD);
    cr_assert_eq(state, HTTP_STREAM_FULL);
    http_stream_close(opened, "bye", 3);
    CLEANUP(mem_free) char *text = read_all(fd);
    cr_expect(strstr(text, "bye"));
    cr_expect_geq(strlen(text), taken);
}

static bool
gone_within(int64_t ms)
{
    int64_t end = life_monotonic_ms() + ms;

    while (!http_stream_gone(opened)) {
        if (life_monotonic_ms() > end)
            return false;
        usleep(1000);
    }
    return true;
}

Test(http_stream, notices_a_client_that_hangs_up, .fini = stop)
{
    int fd = ask();

    cr_assert_eq(http_stream_write(opened, "x", 1), HTTP_STREAM_GOOD);
    cr_assert_not(http_stream_gone(opened));
    close(fd);
    cr_assert(gone_within(5000));
    cr_assert_eq(http_stream_write(opened, "x", 1), HTTP_STREAM_GONE);
    http_stream_close(opened, NULL, 0);
}

Test(http_stream, closed_streams_do_not_hold_up_the_stop)
{
    int fds[8];

    for (int i = 0; i < 8; i++) {
        fds[i] = ask();
        http_stream_close(opened, "bye", 3);
    }
    stop();
    for (int i = 0; i < 8; i++) {
        CLEANUP(mem_free) char *text = read_all(fds[i]);
        cr_expect(strstr(text, "bye"));
    }
}

Test(http_stream, one_that_was_forgotten_is_ended_at_the_deadline)
{
    int fd = ask();

    cr_assert_not(http_server_stop(server, life_monotonic_ms() + 100));
    free(read_all(fd));
    cr_assert_eq(http_stream_write(opened, "x", 1), HTTP_STREAM_GONE);
    http_stream_close(opened, NULL, 0);
}
