/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the listening socket, the workers' loops, start and stop. */
#include "http/internal.h"

#include "life/life.h"
#include "log/log.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_MEMORY (32u << 10) /* 16 KiB of headers, and MHD's own */
#define WORKER_STACK (512u << 10)

_Thread_local struct worker *http_current_worker;

void
inbox_release(struct inbox *inbox)
{
    if (atomic_fetch_sub(&inbox->refs, 1) != 1)
        return;
    close(inbox->event_fd);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

static void
unpend(struct worker *w, struct http_request *r)
{
    if (r->before)
        r->before->after = r->after;
    else
        w->pending = r->after;
    if (r->after)
        r->after->before = r->before;
    r->is_pending = false;
}

/* Queue and resume what has been answered; false when nothing was. */
static bool
answer_ready(struct worker *w)
{
    pthread_mutex_lock(&w->inbox->lock);
    struct http_request *r = w->inbox->answered;
    w->inbox->answered = NULL;
    pthread_mutex_unlock(&w->inbox->lock);
    if (!r)
        return false;
    while (r) {
        struct http_request *next = r->next;
        struct MHD_Connection *connection = r->connection;
        unpend(w, r);
        inbox_release(r->inbox);
        /* A refused response closes the connection when it runs again: nothing is answered twice. */
        http_queue_answer(r);
        MHD_resume_connection(connection);
        r = next;
    }
    return true;
}

static void
turn(struct worker *w)
{
    const struct http_server_options *options = &w->server->options;
    bool again;

    do {
        MHD_run(w->daemon);
        if (options->on_turn)
            options->on_turn(options->arg, w->index);
        /* Both, each turn. */
        again = answer_ready(w);
        again |= http_stream_resume(w->inbox);
    } while (again);
}

static void
wait_ready(struct worker *w, int epoll_fd, int64_t most_ms)
{
    struct pollfd fds[2] = {{.fd = epoll_fd, .events = POLLIN},
                            {.fd = w->inbox->event_fd, .events = POLLIN}};
    MHD_UNSIGNED_LONG_LONG ms;
    uint64_t count;

    if (MHD_get_timeout(w->daemon, &ms) == MHD_YES && (most_ms < 0 || ms < (uint64_t)most_ms))
        most_ms = ms > 60000 ? 60000 : (int64_t)ms;
    if (poll(fds, 2, (int)most_ms) > 0 && fds[1].revents &&
        read(w->inbox->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort();
}

/* Time is up: answer 503 in the handlers' place; their own answers will find nobody. */
static void
abandon(struct worker *w)
{
    static const char body[] = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
                               "\"status\":503,\"detail\":\"stopping\",\"code\":\"CANCELLED\"}\n";

    while (w->pending) {
        struct http_request *r = w->pending;
        struct MHD_Connection *connection = r->connection;
        unpend(w, r);
        struct MHD_Response *response = MHD_create_response_from_buffer(
            sizeof(body) - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
        MHD_queue_response(connection, 503, response);
        MHD_destroy_response(response);
        pthread_mutex_lock(&w->inbox->lock);
        r->abandoned = true;
        pthread_mutex_unlock(&w->inbox->lock);
        MHD_resume_connection(connection);
    }
    http_stream_abandon(w);
    MHD_run(w->daemon);
}

static void
drain(struct worker *w, int epoll_fd)
{
    int64_t left;

    int listening = MHD_quiesce_daemon(w->daemon);
    if (listening >= 0)
        close(listening);
    while (w->active > 0 && (left = w->server->deadline_ms - life_monotonic_ms()) > 0) {
        turn(w);
        if (w->active > 0)
            wait_ready(w, epoll_fd, left);
    }
    answer_ready(w);
    w->drained = w->active == 0;
    abandon(w);
}

static void *
work(void *arg)
{
    struct worker *w = arg;
    int epoll_fd = MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

    http_current_worker = w;
    while (!atomic_load(&w->server->stopping)) {
        turn(w);
        wait_ready(w, epoll_fd, -1);
    }
    turn(w);
    drain(w, epoll_fd);
    MHD_stop_daemon(w->daemon);
    w->daemon = NULL;
    http_stream_resume(w->inbox); /* lets go of those that are still queued */
    http_current_worker = NULL;
    return NULL;
}

static enum err_code
split_bind(const char *bind, char host[128], char port[8], struct err *err)
{
    const char *colon = strrchr(bind, ':');
    size_t len = colon ? (size_t)(colon - bind) : 0;

    if (!colon || len == 0 || len > 127 || !colon[1] || strlen(colon + 1) > 5)
        return err_set(err, ERR_INVALID, "address '%s': expected host:port or [ipv6]:port", bind);
    if (bind[0] == '[' && bind[len - 1] == ']')
        snprintf(host, 128, "%.*s", (int)len - 2, bind + 1);
    else
        snprintf(host, 128, "%.*s", (int)len, bind);
    snprintf(port, 8, "%s", colon + 1);
    return ERR_OK;
}

static enum err_code
listen_on(const char *address, int *fd, int *port, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    char host[128], service[8];
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);

    if (split_bind(address, host, service, err))
        return err->code;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0)
        return err_set(err, ERR_INVALID, "address '%s': %s", address, gai_strerror(rc));
    int s = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
        bind(s, found->ai_addr, found->ai_addrlen) != 0 || listen(s, 1024) != 0 ||
        getsockname(s, (struct sockaddr *)&bound, &len) != 0) {
        err_set(err, errno == EADDRINUSE ? ERR_UNAVAILABLE : ERR_INVALID, "listen on %s: %s",
                address, strerror(errno));
        if (s >= 0)
            close(s);
        freeaddrinfo(found);
        return err->code;
    }
    freeaddrinfo(found);
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    *fd = s;
    return ERR_OK;
}

/* Texts stay percent-encoded: the router splits before it decodes. */
static size_t
keep_encoded(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **state,
              enum MHD_ConnectionNotificationCode code)
{
    struct worker *w = cls;

    (void)connection;
    (void)state;
    metric_add(w->server->connections, code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
}

static enum err_code
open_daemon(struct http_server *server, struct worker *w, int listening, struct err *err)
{
    const struct http_server_options *o = &server->options;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (server->tls_cert ? MHD_USE_TLS : 0);

    w->listen_fd = dup(listening);
    if (w->listen_fd < 0)
        return err_set(err, ERR_INTERNAL, "dup: %s", strerror(errno));
    w->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_access, w, MHD_OPTION_LISTEN_SOCKET, w->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, (o->max_connections + o->threads - 1) / o->threads,
        MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, w, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, w, MHD_OPTION_ARRAY, server->tls_cert ? tls : none, MHD_OPTION_END);
    /* On failure libmicrohttpd may or may not have closed the socket: leave it. */
    if (!w->daemon)
        return err_set(err, ERR_INTERNAL, "cannot start HTTP on %s%s", o->bind,
                       server->tls_cert ? " (are certificate and key a pair?)" : "");
    return ERR_OK;
}

static enum err_code
start_worker(struct http_server *server, struct worker *w, int listening, struct err *err)
{
    pthread_attr_t attr;

    w->inbox = mem_zalloc(sizeof(*w->inbox));
    pthread_mutex_init(&w->inbox->lock, NULL);
    atomic_store(&w->inbox->refs, 1);
    w->inbox->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->inbox->event_fd < 0)
        return err_set(err, ERR_INTERNAL, "eventfd: %s", strerror(errno));
    if (open_daemon(server, w, listening, err))
        return err->code;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    w->started = pthread_create(&w->thread, &attr, work, w) == 0;
    pthread_attr_destroy(&attr);
    if (!w->started)
        return err_set(err, ERR_INTERNAL, "cannot start an HTTP thread");
    pthread_setname_np(w->thread, "http");
    return ERR_OK;
}

static enum err_code
read_text_file(const char *path, char **text, struct err *err)
{
    FILE *file = fopen(path, "re");
    struct buf content = {0};
    char chunk[4096];
    size_t n;

    if (!file)
        return err_set(err, ERR_INVALID, "%s: %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && content.len < (1u << 20))
        buf_add(&content, chunk, n);
    fclose(file);
    *text = buf_take(&content);
    return ERR_OK;
}

static enum err_code
prepare(struct http_server *server, const struct http_server_options *options, struct err *err)
{
    struct http_server_options *o = &server->options;

    *o = *options;
    server->bind = mem_strdup(options->bind);
    o->bind = server->bind;
    o->threads = o->threads ? o->threads : 1;
    o->max_connections = o->max_connections ? o->max_connections : 1024;
    o->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : 60;
    o->max_body = o->max_body ? o->max_body : 1 << 20;
    if (!o->tls_cert_file != !o->tls_key_file)
        return err_set(err, ERR_INVALID, "TLS needs both a certificate and a key");
    if (o->tls_cert_file && (read_text_file(o->tls_cert_file, &server->tls_cert, err) ||
                             read_text_file(o->tls_key_file, &server->tls_key, err)))
        return err->code;
    while (o->routes[server->route_count].verb)
        server->route_count++;
    server->connections =
        metrics_gauge("modelbus_http_connections", "Open HTTP connections.", NULL);
    return router_new(&server->router, o->routes, err);
}

static void
worker_done(struct worker *w)
{
    if (w->daemon) { /* its thread never ran */
        int fd = MHD_quiesce_daemon(w->daemon);
        if (fd >= 0)
            close(fd);
        MHD_stop_daemon(w->daemon);
    }
    while (w->free) {
        struct http_request *r = w->free;
        w->free = r->next;
        http_request_free(r);
    }
    if (w->inbox)
        inbox_release(w->inbox);
    free(w->metrics);
}

static void
server_free(struct http_server *server)
{
    for (unsigned i = 0; server->workers && i < server->options.threads; i++)
        worker_done(&server->workers[i]);
    free(server->workers);
    router_free(server->router);
    free(server->bind);
    free(server->tls_cert);
    free(server->tls_key);
    free(server);
}

enum err_code
http_server_start(struct http_server **out, const struct http_server_options *options,
                  struct err *err)
{
    struct http_server *server = mem_zalloc(sizeof(*server));
    enum err_code code;
    int listening;

    if (prepare(server, options, err) || listen_on(server->bind, &listening, &server->port, err)) {
        server_free(server);
        return err->code;
    }
    server->workers = mem_calloc(server->options.threads, sizeof(*server->workers));
    code = ERR_OK;
    for (unsigned i = 0; i < server->options.threads && !code; i++) {
        struct worker *w = &server->workers[i];
        w->server = server;
        w->index = i;
        w->metrics = mem_calloc(server->route_count + 1, sizeof(*w->metrics));
        code = start_worker(server, w, listening, err);
    }
    close(listening); /* each worker has its own copy */
    if (code) {
        http_server_stop(server, 0);
        return code;
    }
    *out = server;
    return ERR_OK;
}

int
http_server_port(const struct http_server *server)
{
    return server->port;
}

bool
http_server_stop(struct http_server *server, int64_t deadline_ms)
{
    bool complete = true;

    if (!server)
        return true;
    server->deadline_ms = deadline_ms;
    atomic_store(&server->stopping, true);
    for (unsigned i = 0; i < server->options.threads; i++)
        if (server->workers[i].started &&
            write(server->workers[i].inbox->event_fd, &(uint64_t){1}, 8) != 8)
            abort();
    for (unsigned i = 0; i < server->options.threads; i++) {
        if (!server->workers[i].started)
            continue;
        pthread_join(server->workers[i].thread, NULL);
        complete &= server->workers[i].drained;
    }
    server_free(server);
    return complete;
}
