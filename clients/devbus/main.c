/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - modelbus-devbus, a Kafka-protocol bus in one small process for development.
 *
 * Hosts librdkafka's mock cluster. Its limits: in memory; 5 MiB or 100k batches a partition,
 * then the oldest go, silently; no compaction, no TLS or SASL, no Admin API; loopback only.
 */
#include "catalog.h"

#include <errno.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int wanted_port; /* for a bind() of a loopback socket to port 0; 0: the system's choice */

int bind(int fd, const struct sockaddr *address, socklen_t len);

/*
 * The mock binds a port of the system's choice; a bus that restarts must keep its own. What it
 * accepts inherits TCP_NODELAY from here: without it an answer now and then waits 40 ms for the
 * client's delayed ACK of the one before.
 */
int
bind(int fd, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in in;

    if (address->sa_family == AF_INET && len >= sizeof(in)) {
        memcpy(&in, address, sizeof(in));
        if (in.sin_port == 0 && in.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
            in.sin_port = htons((uint16_t)wanted_port);
            return (int)syscall(SYS_bind, fd, &in, sizeof(in));
        }
    }
    return (int)syscall(SYS_bind, fd, address, len);
}

int __snprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/*
 * The mock's cluster id is its address on the heap, which may be the same at every start; an empty
 * bus has to be another cluster. So this stands in for the C library's, in librdkafka too.
 */
int
__snprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, ...)
{
    static uint64_t id;
    va_list args;
    int n;

    (void)flag;
    if (size > room)
        abort();
    if (strcmp(format, "mockCluster%lx") == 0) {
        if (!id && getrandom(&id, sizeof(id), 0) != sizeof(id))
            id = (uint64_t)time(NULL) << 32 | (uint32_t)getpid();
        return snprintf(to, size, "mockCluster%016llx", (unsigned long long)id);
    }
    va_start(args, format);
    n = vsnprintf(to, size, format, args);
    va_end(args);
    return n;
}

/*
 * Before each command to the mock: it serves commands first and clears its wake-up signal then, so
 * one that comes right after another may wait a second, for its next turn. By then it sleeps again.
 */
static void
let_mock_sleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/*
 * Topic ids stay out of it: those of the mock are new at every start, and where a topic's id changes
 * the clients' metadata cache is corrupted (librdkafka 2.4 to 2.8, first seen in Debian 13).
 */
static void
hide_topic_ids(rd_kafka_mock_cluster_t *mock)
{
    enum { FETCH = 1, FETCH_NAMES_MAX = 12, METADATA = 3, METADATA_NAMES_MAX = 9 };

    if (rd_kafka_version() < 0x02040000) /* does not know those versions, nor any topic ids */
        return;
    let_mock_sleep();
    rd_kafka_mock_set_apiversion(mock, FETCH, 0, FETCH_NAMES_MAX);
    let_mock_sleep();
    rd_kafka_mock_set_apiversion(mock, METADATA, 0, METADATA_NAMES_MAX);
}

static bool
write_file(const char *path, const char *text)
{
    CLEANUP(mem_free) char *fresh = mem_printf("%s.%d", path, (int)getpid());
    FILE *file = fopen(fresh, "w");

    if (!file)
        return false;
    bool ok = fprintf(file, "%s\n", text) > 0;
    ok = fclose(file) == 0 && ok;
    return ok && rename(fresh, path) == 0;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {{"port", 1, 0, 'p'},   {"partitions", 1, 0, 'n'},
                                            {"prefix", 1, 0, 'x'}, {"bootstrap-file", 1, 0, 'f'},
                                            {"help", 0, 0, 'h'},   {0}};
    const char *prefix = "modelbus";
    const char *path = NULL;
    int partitions = 0;
    char text[256];
    sigset_t stop;
    int got;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'p')
            wanted_port = atoi(optarg);
        else if (c == 'n')
            partitions = atoi(optarg);
        else if (c == 'x')
            prefix = optarg;
        else if (c == 'f')
            path = optarg;
        else {
            fprintf(c == 'h' ? stdout : stderr,
                    "modelbus-devbus [--port P] [--partitions N] [--prefix modelbus] "
                    "[--bootstrap-file F]\n"
                    "A Kafka bus in memory for development, on loopback; port 0: any free one; "
                    "partitions 0: as the catalogue says.\n"
                    "Keeps 5 MiB or 100k batches a partition; no compaction, no TLS.\n"
                    "Exit: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong usage.\n");
            return c == 'h' ? 0 : 2;
        }
    }
    if (wanted_port < 0 || wanted_port > 65535 || partitions < 0 || partitions > 1000) {
        fprintf(stderr, "modelbus-devbus: port or partitions out of range\n");
        return 2;
    }
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* Without the notice that this client, which only hosts the mock, has no brokers. */
    rd_kafka_conf_set(conf, "log_level", "4", text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    rd_kafka_mock_cluster_t *mock = rk ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
    if (!mock) {
        fprintf(stderr, "modelbus-devbus: cannot listen on port %d\n", wanted_port);
        return 1;
    }
    hide_topic_ids(mock);
    for (const struct event_topic *t = event_topics; t->suffix; t++) {
        event_topic_name(prefix, t->suffix, text);
        let_mock_sleep();
        /* A client that was quicker has it created already. */
        (void)rd_kafka_mock_topic_create(mock, text, partitions ? partitions : t->partitions, 1);
    }
    const char *address = rd_kafka_mock_cluster_bootstraps(mock);
    printf("%s\n", address);
    fflush(stdout);
    if (path && !write_file(path, address)) {
        fprintf(stderr, "modelbus-devbus: %s: %s\n", path, strerror(errno));
        return 1;
    }
    sigwait(&stop, &got);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(rk);
    return 0;
}
