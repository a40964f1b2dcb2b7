/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service's life through service_main(): a small program (probe.c) on real PostgreSQL
 * (MODELBUS_TEST_POSTGRES_URL, and one of its own that it kills) and an embedded bus that it kills.
 */
#include "../../shared/bus/fixture.h"
#include "db/db.h"
#include "http/http.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_MS 2000
#define SLACK_MS 4000 /* a busy machine's */
#define KEY "0123456789abcdef"
#define ARGS_MAX 24

static char folder[] = "/tmp/modelbus-service-XXXXXX";
static char name[64]; /* of the service: its schema */
static struct fixture bus;
static const char *database;
static pid_t pid;
static int port;    /* of the admin HTTP */
static FILE *guard; /* a shell that ends a PostgreSQL of the test's own, also after a crash */

/* ---- the program ---- */

static int
output(const char *file)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0, "%s", path);
    return fd;
}

/* Run with arguments, ended by NULL; its output is in folder/out and folder/log. */
static void
run(const char *const *arguments)
{
    const char *argv[ARGS_MAX + 2] = {"service_probe"};
    int out = output("out"), log = output("log");

    for (size_t i = 0; arguments[i]; i++) {
        cr_assert_lt(i, ARGS_MAX);
        argv[i + 1] = arguments[i];
    }
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) {
        close(out);
        close(log);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
    dup2(out, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    setenv("MODELBUS_PROBE", name, 1);
    execv(SERVICE_PROBE, (char **)(uintptr_t)argv);
    _exit(127);
}

static int
ended(void)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    int status, got;

    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && fixture_now_ms() < deadline)
        poll(NULL, 0, 5);
    if (got == 0)
        kill(pid, SIGKILL);
    cr_assert_eq(got, pid, "it does not end");
    cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
    return WEXITSTATUS(status);
}

/* What the program wrote; valid until the next call. */
static const char *
written(const char *file)
{
    static char text[1 << 16];
    char path[64];

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void
wait_log(const char *part)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;

    while (!strstr(written("log"), part)) {
        cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0, "it ended: %s", written("log"));
        cr_assert_lt(fixture_now_ms(), deadline, "no '%s' in %s", part, written("log"));
        poll(NULL, 0, 5);
    }
}

static void
start(const char *url, const char *fall_short)
{
    static const char listening[] = "\"what\":\"admin HTTP\"";
    char drain[16], rpc[96];
    const char *const arguments[] = {
        "--brokers",   bus.brokers,   "--bus-fetch-wait-ms",
        "10",          "--db-url",    url,
        "--rpc-key",   KEY,           "--rpc-url",
        rpc,           "--drain-ms",  drain,
        "--http-bind", "127.0.0.1:0", "--short",
        fall_short,    "--instance",  "one",
        NULL,
    };

    snprintf(drain, sizeof(drain), "%d", DRAIN_MS);
    snprintf(rpc, sizeof(rpc), "ipc://%s/rpc", folder);
    run(arguments);
    wait_log(listening);
    const char *at = strstr(strstr(written("log"), listening), "\"port\":");
    cr_assert_not_null(at);
    port = atoi(at + strlen("\"port\":"));
}

/* SIGTERM; within the drain time the program ends with this status. */
static void
stop(int status)
{
    int64_t begin = fixture_now_ms();

    cr_assert_eq(kill(pid, SIGTERM), 0);
    int got = ended();
    int64_t ms = fixture_now_ms() - begin;
    cr_expect_eq(got, status, "exit %d: %s", got, written("log"));
    cr_expect_lt(ms, DRAIN_MS + SLACK_MS, "%lld ms: %s", (long long)ms, written("log"));
}

/* ---- its admin HTTP ---- */

/* Until GET path answers status with part in it. */
static void
wait_http(const char *path, int status, const char *part)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    char url[64];
    const struct http_client_request request = {.verb = "GET", .url = url, .timeout_ms = 5000};
    bool found = false;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
    while (!found) {
        struct http_client_response response = {0};
        struct err err;

        cr_assert_eq(http_fetch(&request, &response, &err), ERR_OK, "%s", err.message);
        found = response.status == status && response.body.data &&
                strstr(response.body.data, part) != NULL;
        cr_assert(found || fixture_now_ms() < deadline, "%s never was %d with '%s': %d %s", path,
                  status, part, response.status, response.body.data ? response.body.data : "");
        http_client_response_done(&response);
        if (!found)
            poll(NULL, 0, 5);
    }
}

static void
wait_handled(int events)
{
    char part[64];

    snprintf(part, sizeof(part), "ModelRegistered\"} %d\n", events);
    wait_http("/metrics", 200, part);
}

/* ---- around the tests ---- */

static void
setup(void)
{
    database = getenv("MODELBUS_TEST_POSTGRES_URL");
    cr_assert(database && *database, "MODELBUS_TEST_POSTGRES_URL is not set");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chmod(folder, 0755), 0); /* PostgreSQL's user passes through it */
    snprintf(name, sizeof(name), "probe_%d_%lld", (int)getpid(), (long long)fixture_now_ms());
}

static void
setup_bus(void)
{
    setup();
    fixture_devbus(&bus);
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
shell(const char *format, ...)
{
    char command[256];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    cr_assert_eq(system(command), 0, "%s", command);
}

static void
teardown(void)
{
    if (guard)
        pclose(guard);
    shell("rm -rf %s", folder);
}

static void
teardown_bus(void)
{
    struct db_pool *pool;
    struct db_conn *conn;
    char sql[128];
    struct err err;

    fixture_close(&bus);
    snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE", name);
    cr_assert_eq(db_pool_open(&pool, database, name, 1, 5000, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_borrow(pool, &conn, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_script(conn, sql, &err), ERR_OK, "%s", err.message);
    db_return(conn);
    db_pool_free(pool);
    teardown();
}

/* ---- the command line ---- */

Test(service, describes_itself_without_being_configured, .init = setup, .fini = teardown)
{
    run((const char *[]){"--help", NULL});
    cr_expect_eq(ended(), 0);
    cr_expect(strstr(written("out"), "Does next to nothing."), "%s", written("out"));
    cr_expect(strstr(written("out"), "PROBE_DB_URL"), "%s", written("out"));
    cr_expect(strstr(written("out"), "Whether the stop falls short"), "%s", written("out"));
    run((const char *[]){"--version", NULL});
    cr_expect_eq(ended(), 0);
    cr_expect_eq(strncmp(written("out"), "modelbus-probe", 14), 0, "%s", written("out"));
    run((const char *[]){"--describe", NULL});
    cr_expect_eq(ended(), 0);
    shell("python3 -m json.tool %s/out >/dev/null", folder);
    cr_expect(strstr(written("out"), "ModelRegistered"), "%s", written("out"));
    cr_expect(strstr(written("out"), "PROBE_DB_URL"), "%s", written("out"));
}

/* Exit 2, and the log's one line says what is wrong. */
static void
expect_refused(const char *const *arguments, const char *part)
{
    run(arguments);
    cr_expect_eq(ended(), 2);
    const char *log = written("log");
    cr_expect(strstr(log, part), "no '%s' in %s", part, log);
    cr_expect_eq(strchr(log, '\n'), log + strlen(log) - 1, "more than a line: %s", log);
    cr_expect_null(strstr(log, "secret"), "%s", log);
}

Test(service, ends_with_2_when_it_is_configured_wrongly, .init = setup, .fini = teardown)
{
    expect_refused((const char *[]){"--rpc-key", KEY, NULL}, "DB_URL");
    expect_refused((const char *[]){"--db-url", "postgresql://a:secret@h/d", NULL}, "RPC_KEY");
    expect_refused((const char *[]){"--db-url", "u", "--rpc-key", "secret", NULL}, "at least 16");
    expect_refused((const char *[]){"--db-url", "u", "--rpc-key", KEY, "--db-conn", "1", NULL},
                   "DB_CONNS");
    expect_refused((const char *[]){"--db-url", "u", "--rpc-key", KEY, "--drain-ms", "soon", NULL},
                   "DRAIN_MS");
    expect_refused((const char *[]){"--db-url", "u", "--rpc-key", KEY, "--log-level", "loud", NULL},
                   "LOG_LEVEL");
}

Test(service, fails_with_1_when_its_address_is_not_its_own, .init = setup, .fini = teardown)
{
    run((const char *[]){"--db-url", "u", "--rpc-key", KEY, "--http-bind", "192.0.2.1:80", NULL});
    cr_expect_eq(ended(), 1);
    cr_expect(strstr(written("log"), "start failed"), "%s", written("log"));
}

/* ---- its life ---- */

Test(service, starts_is_ready_and_drains, .init = setup_bus, .fini = teardown_bus)
{
    start(database, "false");
    wait_http("/readyz", 200, "ok");
    wait_http("/healthz", 200, "ok");
    wait_handled(2); /* said, sent and heard, twice */
    stop(0);
    cr_expect(strstr(written("log"), "\"complete\":true"), "%s", written("log"));
}

Test(service, ends_with_3_when_its_own_step_falls_short, .init = setup_bus, .fini = teardown_bus)
{
    start(database, "true");
    wait_http("/readyz", 200, "ok");
    stop(3);
    cr_expect(strstr(written("log"), "stop step fell short"), "%s", written("log"));
}

Test(service, stops_gracefully_while_the_bus_is_away_and_sends_later, .init = setup_bus,
     .fini = teardown_bus)
{
    fixture_kill(&bus);
    start(database, "false");
    wait_log("\"started\"");
    wait_http("/readyz", 503, "not ready");
    wait_http("/healthz", 200, "ok");
    stop(0);
    cr_expect(strstr(written("log"), "events stay in the outbox"), "%s", written("log"));

    fixture_restart(&bus);
    start(database, "false");
    wait_http("/readyz", 200, "ok");
    wait_handled(4); /* those of the first start too */
    stop(0);
}

Test(service, stops_gracefully_when_the_bus_has_gone, .init = setup_bus, .fini = teardown_bus)
{
    start(database, "false");
    wait_handled(2);
    fixture_kill(&bus);
    wait_log("\"kafka client\"");
    wait_http("/healthz", 200, "ok");
    stop(0);
    fixture_restart(&bus); /* for the teardown */
}

Test(service, waits_for_its_database_and_can_be_stopped_meanwhile, .init = setup_bus,
     .fini = teardown_bus)
{
    start("postgresql://nobody@127.0.0.1:1/none", "false");
    wait_log("waiting for the database");
    wait_http("/readyz", 503, "database");
    wait_http("/healthz", 200, "ok");
    stop(0);
}

Test(service, stops_gracefully_when_its_database_has_gone, .init = setup_bus, .fini = teardown_bus)
{
    static const char tool[] = MODELBUS_SUPPORT_DIR "/postgres.sh";
    char command[256];

    snprintf(command, sizeof(command), "cat >/dev/null; %s kill %s/pg 2>/dev/null", tool, folder);
    guard = popen(command, "we");
    shell("%s up %s/pg >/dev/null", tool, folder);
    start(strtok(strdupa(written("pg/url")), "\n"), "false");
    wait_handled(2);
    shell("%s kill %s/pg", tool, folder);
    wait_http("/readyz", 503, "not ready");
    stop(0);
}
