/* SPDX-License-Identifier: Apache-2.0 */
/* port.c - loopback TCP ports. */
#include "port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* Linux hands out 32768-60999 by default; well-known services live below 15000. */
#define CHOOSE_FIRST 15000
#define CHOOSE_COUNT 17000
#define CHOOSE_TRIES 1000

static struct sockaddr_in
loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

bool
port_is_free(int port)
{
    struct sockaddr_in at = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0)
        return false;
    /* A connection in TIME_WAIT does not keep a server from listening. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool free_port = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0;
    close(fd);
    return free_port;
}

int
port_choose(void)
{
    static unsigned char given[(CHOOSE_COUNT + 7) / 8];
    unsigned start = 0;

    if (getrandom(&start, sizeof(start), 0) < 0)
        start = (unsigned)getpid();
    for (unsigned i = 0; i < CHOOSE_TRIES; i++) {
        unsigned at = (start + i * 7u) % CHOOSE_COUNT;
        if (given[at / 8] & 1u << at % 8 || !port_is_free(CHOOSE_FIRST + (int)at))
            continue;
        given[at / 8] |= (unsigned char)(1u << at % 8);
        return CHOOSE_FIRST + (int)at;
    }
    return 0;
}

static int
connect_to(int port, int timeout_ms)
{
    struct sockaddr_in at = loopback(port);
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
        close(fd);
        return -1;
    }
    return fd;
}

bool
port_listens(int port)
{
    int fd = connect_to(port, 100);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool
port_answers(int port, const char *path, int timeout_ms)
{
    char text[256];
    int status = 0;
    int fd = connect_to(port, timeout_ms);

    if (fd < 0)
        return false;
    int len =
        snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n", path, port);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) == len) {
        ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
        if (n > 0) {
            text[n] = '\0';
            if (sscanf(text, "HTTP/1.%*d %d", &status) != 1)
                status = 0;
        }
    }
    close(fd);
    return status >= 200 && status < 300;
}
