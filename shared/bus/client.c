/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - a librdkafka instance: settings, log, and which cluster answers. */
#include "bus/internal.h"

#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LOG_QUIET_MS 10000

int64_t
bus_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum err_code
bus_err(struct err *err, rd_kafka_resp_err_t code, const char *what)
{
    enum err_code ours = ERR_INTERNAL;

    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
        ours = ERR_UNAVAILABLE;
        break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        ours = ERR_NOT_FOUND;
        break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        ours = ERR_TOO_LARGE;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        ours = ERR_INVALID;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        ours = ERR_FORBIDDEN;
        break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        ours = ERR_UNAUTHENTICATED;
        break;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        ours = ERR_UNSUPPORTED;
        break;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY:
        ours = ERR_CANCELLED;
        break;
    default:
        break;
    }
    return err_set(err, ours, "%s: %s", what, rd_kafka_err2str(code));
}

/* A broker that is away makes librdkafka talk several times a second: one line now and then. */
static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct bus_client *c = rd_kafka_opaque(rk);
    int64_t now = bus_now_ms();
    int64_t next = atomic_load(&c->log_next_ms);

    /* Of settings that we chose. */
    if (strcmp(facility, "CONFWARN") == 0 && strstr(text, "experimental"))
        return;
    if (now < next || !atomic_compare_exchange_strong(&c->log_next_ms, &next, now + LOG_QUIET_MS)) {
        atomic_fetch_add(&c->log_suppressed, 1);
        return;
    }
    log_write(
        level <= 4 ? LOG_WARN : LOG_INFO, "kafka client",
        (const struct log_field[]){LOG_STR("client", c->client_id),
                                   LOG_STR("role", c->role),
                                   LOG_STR("facility", facility),
                                   LOG_STR("text", text),
                                   LOG_INT("suppressed", atomic_exchange(&c->log_suppressed, 0)),
                                   {.name = NULL}});
}

/* What matters of an error also shows as a delivery report, a poll result or a log line. */
static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct bus_client *c = opaque;

    (void)rk;
    (void)reason;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        atomic_store(&c->down, true);
}

static int
on_connect(int fd, const struct sockaddr *address, int len, const char *name, void *opaque)
{
    struct bus_client *c = opaque;

    (void)name;
    atomic_fetch_add(&c->connects, 1);
    return connect(fd, address, (socklen_t)len) == 0 || errno == EINPROGRESS ? 0 : errno;
}

void
bus_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "librdkafka refuses %s=%s: %s\n", name, value, text);
        abort();
    }
}

void
bus_conf_set_int(rd_kafka_conf_t *conf, const char *name, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    bus_conf_set(conf, name, text);
}

rd_kafka_conf_t *
bus_conf(struct bus_client *c, const struct bus_options *o)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    c->client_id = mem_strdup(o->client_id ? o->client_id : "modelbus");
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_connect_cb(conf, on_connect);
    rd_kafka_conf_set_stats_cb(conf, bus_stats);
    bus_conf_set(conf, "client.id", c->client_id);
    bus_conf_set(conf, "log_level", "5");
    bus_conf_set(conf, "log.connection.close", "false");
    bus_conf_set(conf, "socket.nagle.disable", "true");
    bus_conf_set(conf, "socket.keepalive.enable", "true");
    bus_conf_set(conf, "reconnect.backoff.ms", "50");
    bus_conf_set(conf, "reconnect.backoff.max.ms", "1000");
    bus_conf_set(conf, "topic.metadata.refresh.fast.interval.ms", "100");
    bus_conf_set(conf, "statistics.interval.ms", "30000");
    return conf;
}

/* "k=v;k=v"; blanks around a pair and empty pairs are allowed. */
static enum err_code
apply_properties(rd_kafka_conf_t *conf, const char *properties, struct err *err)
{
    CLEANUP(mem_free) char *copy = mem_strdup(properties);
    char *rest = copy;
    char *pair;

    while (rest && (pair = strsep(&rest, ";"))) {
        char text[256];

        pair += strspn(pair, " \t\n");
        if (!*pair)
            continue;
        char *value = strchr(pair, '=');
        if (!value)
            return err_set(err, ERR_INVALID, "bus property '%s': expected name=value", pair);
        *value++ = '\0';
        if (rd_kafka_conf_set(conf, pair, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
            return err_set(err, ERR_INVALID, "bus property '%s': %s", pair, text);
    }
    return ERR_OK;
}

enum err_code
bus_client_start(struct bus_client *c, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                 const struct bus_options *o, struct err *err)
{
    char text[256] = "";
    enum err_code code;

    if (!o->brokers || !*o->brokers)
        code = err_set(err, ERR_INVALID, "bus: no brokers given");
    else if (rd_kafka_conf_set(conf, "bootstrap.servers", o->brokers, text, sizeof(text)))
        code = err_set(err, ERR_INVALID, "bus: brokers '%s': %s", o->brokers, text);
    else
        code = apply_properties(conf, o->properties, err);
    if (code) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    c->rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (!c->rk) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_INVALID, "bus: %s", text);
    }
    return ERR_OK;
}

void
bus_client_done(struct bus_client *c)
{
    for (size_t i = 0; i < c->topic_count; i++)
        rd_kafka_topic_destroy(c->topics[i].handle);
    free(c->topics);
    c->topics = NULL;
    c->topic_count = 0;
    free(c->brokers);
    c->brokers = NULL;
    c->broker_count = 0;
    if (c->rk)
        rd_kafka_destroy(c->rk);
    c->rk = NULL;
    free(c->client_id);
    c->client_id = NULL;
}

bool
bus_client_suspect(const struct bus_client *c)
{
    return !c->cluster[0] || atomic_load(&c->connects) != c->verified;
}

enum err_code
bus_client_verify(struct bus_client *c, int timeout_ms, struct err *err)
{
    const struct rd_kafka_metadata *metadata;
    /* Read before asking: a connection made meanwhile needs another look. */
    unsigned connects = atomic_load(&c->connects);
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 0, NULL, &metadata, timeout_ms);

    if (code)
        return bus_err(err, code, "cluster id");
    c->broker_count = (size_t)metadata->broker_cnt;
    c->brokers = mem_realloc(c->brokers, c->broker_count * sizeof(*c->brokers));
    for (size_t i = 0; i < c->broker_count; i++)
        c->brokers[i] = metadata->brokers[i].id;
    rd_kafka_metadata_destroy(metadata);
    char *id = rd_kafka_clusterid(c->rk, 0);
    if (!id)
        return err_set(err, ERR_UNSUPPORTED, "cluster id: the brokers have none");
    snprintf(c->cluster, sizeof(c->cluster), "%s", id);
    rd_kafka_mem_free(c->rk, id);
    c->verified = connects;
    return ERR_OK;
}

enum err_code
bus_client_cluster(struct bus_client *c, int timeout_ms, char *id, size_t size, struct err *err)
{
    if (bus_client_suspect(c) && bus_client_verify(c, timeout_ms, err))
        return err->code;
    snprintf(id, size, "%s", c->cluster);
    return ERR_OK;
}
