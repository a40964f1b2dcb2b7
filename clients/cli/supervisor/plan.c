/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - decides addresses and environments before anything starts. */
#include "plan.h"

#include "parts.h"
#include "port.h"

#include "buf/buf.h"
#include "localdir/localdir.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define GATEWAY_PORT 8080
#define INFERENCE_PORT 8090
#define SOCKET_PATH_MAX 100 /* sun_path holds 107 */
#define SERVICE_STOP_MS 12000
#define BUS_STOP_MS 3000
#define DATABASE_STOP_MS 20000
/* The embedded bus lets an empty fetch wait to the end; a real broker answers at once. */
#define FETCH_WAIT_EMBEDDED "10"
#define FETCH_WAIT_REAL "500"

static const char *
var(const struct plan *plan, const char *name)
{
    return json_string_value(json_object_get(plan->vars, name));
}

PRINTF_LIKE(3, 4)
static void
set_var(struct plan *plan, const char *name, const char *format, ...)
{
    va_list args;
    char *value = NULL;

    va_start(args, format);
    int n = vasprintf(&value, format, args);
    va_end(args);
    json_object_set_new(plan->vars, name, json_string(n < 0 ? "" : value));
    free(n < 0 ? NULL : value);
}

/* An option that is given is remembered; `word` and "" go back to our own. */
static const char *
remembered(struct plan *plan, const char *name, const char *given, const char *word)
{
    if (given)
        json_object_set_new(plan->state, name, json_string(strcmp(given, word) ? given : ""));
    const char *known = json_string_value(json_object_get(plan->state, name));
    return known && *known ? known : NULL;
}

/* A port of our own choice: the one of last time unless somebody else sits there now. */
static enum err_code
own_port(struct plan *plan, const char *name, struct err *err)
{
    int port = (int)json_integer_value(json_object_get(plan->state, name));

    if (port == 0 || !port_is_free(port))
        port = port_choose();
    if (port == 0)
        return err_set(err, ERR_UNAVAILABLE, "no free port on 127.0.0.1");
    json_object_set_new(plan->state, name, json_integer(port));
    set_var(plan, name, "%d", port);
    return ERR_OK;
}

/* A port that the user may ask for. */
static enum err_code
asked_port(struct plan *plan, const char *name, int asked, int fallback, const char *flag,
           struct err *err)
{
    CLEANUP(mem_free) char *any = mem_printf("%s_any", name);
    int known = (int)json_integer_value(json_object_get(plan->state, name));

    if (asked >= 0)
        json_object_set_new(plan->state, any, json_boolean(asked == 0));
    if (json_is_true(json_object_get(plan->state, any)))
        return own_port(plan, name, err);
    int port = asked > 0 ? asked : known ? known : fallback;
    if (!port_is_free(port))
        return err_set(err, ERR_CONFLICT,
                       "port %d on 127.0.0.1 is taken; use %s N, or %s 0 for any free one", port,
                       flag, flag);
    json_object_set_new(plan->state, name, json_integer(port));
    set_var(plan, name, "%d", port);
    return ERR_OK;
}

/* The key with which services sign for each other; made once. */
static enum err_code
make_key(struct plan *plan, struct err *err)
{
    CLEANUP(mem_free) char *path = localdir_path(plan->dir, "secrets/rpc.key");
    unsigned char raw[32];
    char text[2 * sizeof(raw) + 2];

    set_var(plan, "rpc_key_file", "%s", path);
    if (access(path, F_OK) == 0)
        return ERR_OK;
    if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
        return err_set(err, ERR_UNAVAILABLE, "random bytes: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(raw); i++)
        snprintf(text + 2 * i, 3, "%02x", raw[i]);
    strcpy(text + 2 * sizeof(raw), "\n");
    return localdir_write(path, text, strlen(text), 0600, err);
}

static enum err_code
make_folders(struct plan *plan, struct err *err)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {{"run", 0700},       {"logs", 0700},  {"secrets", 0700},
                   {"artifacts", 0700}, {"cache", 0700}, {"task-secrets", 0700}};

    /* The user who runs PostgreSQL for root must be able to pass. */
    if (localdir_make(plan->dir, geteuid() ? 0700 : 0755, err))
        return err->code;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        CLEANUP(mem_free) char *path = localdir_path(plan->dir, "%s", folders[i].name);
        if (localdir_make(path, folders[i].mode, err))
            return err->code;
    }
    return ERR_OK;
}

/* {name} by its variable. */
static char *
fill(const struct plan *plan, const char *text, size_t len)
{
    struct buf out = {0};

    for (const char *p = text, *end = text + len; p < end; p++) {
        const char *close = *p == '{' ? memchr(p, '}', (size_t)(end - p)) : NULL;
        if (!close) {
            buf_char(&out, *p);
            continue;
        }
        CLEANUP(mem_free) char *name = mem_strndup(p + 1, (size_t)(close - p - 1));
        const char *value = var(plan, name);
        buf_str(&out, value ? value : "");
        p = close;
    }
    return buf_take(&out);
}

/* Beside this program, else in PATH. */
static enum err_code
find_program(const char *name, char **path, struct err *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        CLEANUP(mem_free) char *beside = mem_printf("%s/%s", self, name);
        if (access(beside, X_OK) == 0) {
            *path = TAKE_PTR(beside);
            return ERR_OK;
        }
    }
    for (const char *p = getenv("PATH"); p && *p;) {
        size_t len = strcspn(p, ":");
        CLEANUP(mem_free) char *there = mem_printf("%.*s/%s", (int)len, p, name);
        if (len && access(there, X_OK) == 0) {
            *path = TAKE_PTR(there);
            return ERR_OK;
        }
        p += len + (p[len] == ':');
    }
    return err_set(err, ERR_NOT_FOUND, "the program %s is neither beside modelbus nor in PATH",
                   name);
}

static struct part *
add_part(struct plan *plan, const char *name, unsigned phase, int64_t stop_ms)
{
    plan->parts = mem_realloc(plan->parts, (plan->part_count + 1) * sizeof(*plan->parts));
    struct part *part = &plan->parts[plan->part_count++];
    *part = (struct part){.name = name,
                          .phase = phase,
                          .stop_signal = SIGTERM,
                          .death_signal = SIGKILL,
                          .stop_ms = stop_ms,
                          .log = localdir_path(plan->dir, "logs/%s.log", name)};
    return part;
}

static enum err_code
add_service(struct plan *plan, const struct part_row *row, struct err *err)
{
    CLEANUP(mem_free) char *program = mem_printf("modelbus-%s", row->name);
    struct part *part = add_part(plan, row->name, row->phase, SERVICE_STOP_MS);
    size_t count = 0;

    part->argv = mem_calloc(2, sizeof(*part->argv));
    if (find_program(program, &part->argv[0], err))
        return err->code;
    part->port = atoi(var(plan, row->port));
    part->probe = "/readyz";
    part->address = mem_printf("http://127.0.0.1:%d", part->port);
    for (const char *line = row->settings; *line;) {
        size_t len = strcspn(line, "\n");
        CLEANUP(mem_free) char *setting = fill(plan, line, len);
        part->env = mem_realloc(part->env, (count + 2) * sizeof(*part->env));
        part->env[count++] = mem_printf("%s_%s", row->prefix, setting);
        part->env[count] = NULL;
        line += len + (line[len] == '\n');
    }
    return ERR_OK;
}

/* It writes its address when it serves, and the file is removed before each start. */
static bool
bus_ready(const struct part *part)
{
    return access(part->arg, F_OK) == 0 && port_listens(part->port);
}

static enum err_code
add_bus(struct plan *plan, struct err *err)
{
    struct part *part = add_part(plan, "bus", PHASE_BUS, BUS_STOP_MS);
    char *program = NULL;

    if (find_program("modelbus-devbus", &program, err))
        return err->code;
    part->argv = mem_calloc(8, sizeof(*part->argv));
    part->argv[0] = program;
    part->argv[1] = mem_strdup("--port");
    part->argv[2] = mem_strdup(var(plan, "bus_port"));
    part->argv[3] = mem_strdup("--bootstrap-file");
    part->argv[4] = localdir_path(plan->dir, "run/bus");
    part->argv[5] = mem_strdup("--prefix");
    part->argv[6] = mem_strdup(var(plan, "bus_prefix"));
    part->arg = part->argv[4];
    part->ask = bus_ready;
    part->port = atoi(var(plan, "bus_port"));
    part->address = mem_strdup(var(plan, "brokers"));
    return ERR_OK;
}

static void
add_database(struct plan *plan)
{
    struct part *part = add_part(plan, "postgres", PHASE_DATABASE, DATABASE_STOP_MS);

    part->enter = postgres_enter;
    part->ask = postgres_ready;
    part->arg = &plan->postgres;
    part->stop_signal = SIGINT; /* the server's fast shutdown */
    part->address = mem_strdup(var(plan, "db_url"));
}

static enum err_code
choose_service_addresses(struct plan *plan, const char *name, struct err *err)
{
    CLEANUP(mem_free) char *admin = mem_printf("%s_admin_port", name);
    CLEANUP(mem_free) char *rpc = mem_printf("%s_rpc", name);
    CLEANUP(mem_free) char *rpc_port = mem_printf("%s_rpc_port", name);
    CLEANUP(mem_free) char *path = localdir_path(plan->dir, "run/%s.sock", name);

    if (own_port(plan, admin, err))
        return err->code;
    if (strlen(path) <= SOCKET_PATH_MAX) {
        set_var(plan, rpc, "ipc://%s", path);
        return ERR_OK;
    }
    if (own_port(plan, rpc_port, err))
        return err->code;
    set_var(plan, rpc, "tcp://127.0.0.1:%s", var(plan, rpc_port));
    return ERR_OK;
}

static enum err_code
choose_addresses(struct plan *plan, const struct plan_options *options, struct err *err)
{
    const char *kafka = remembered(plan, "kafka", options->kafka, "embedded");
    const char *database = remembered(plan, "postgres", options->postgres, "private");
    const char *prefix = remembered(plan, "bus_prefix", options->bus_prefix, "modelbus");

    set_var(plan, "dir", "%s", plan->dir);
    set_var(plan, "bus_prefix", "%s", prefix ? prefix : "modelbus");
    if (asked_port(plan, "gateway_port", options->gateway_port, GATEWAY_PORT, "--gateway-port",
                   err) ||
        asked_port(plan, "inference_port", options->inference_port, INFERENCE_PORT,
                   "--inference-port", err))
        return err->code;
    set_var(plan, "gateway_url", "http://127.0.0.1:%s", var(plan, "gateway_port"));
    set_var(plan, "inference_url", "http://127.0.0.1:%s", var(plan, "inference_port"));
    if (!kafka && own_port(plan, "bus_port", err))
        return err->code;
    set_var(plan, "brokers", "%s%s",
            kafka ? kafka : "127.0.0.1:", kafka ? "" : var(plan, "bus_port"));
    set_var(plan, "fetch_wait_ms", "%s", kafka ? FETCH_WAIT_REAL : FETCH_WAIT_EMBEDDED);
    if (!database && postgres_plan(&plan->postgres, plan->dir, plan->state, err))
        return err->code;
    CLEANUP(mem_free) char *url = database ? mem_strdup(database) : postgres_url(&plan->postgres);
    set_var(plan, "db_url", "%s", url);
    for (size_t i = 0; i < part_row_count; i++)
        if (choose_service_addresses(plan, part_rows[i].name, err))
            return err->code;
    return ERR_OK;
}

static void
describe_env(struct plan *plan)
{
    static const struct {
        const char *name, *variable;
    } rows[] = {
        {"MODELBUS_DIR", "dir"},
        {"MODELBUS_GATEWAY_URL", "gateway_url"},
        {"MODELBUS_INFERENCE_URL", "inference_url"},
        {"MODELBUS_BROKERS", "brokers"},
        {"MODELBUS_BUS_PREFIX", "bus_prefix"},
        {"MODELBUS_POSTGRES_URL", "db_url"},
        {"MODELBUS_RPC_KEY_FILE", "rpc_key_file"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_object_set_new(plan->env, rows[i].name, json_string(var(plan, rows[i].variable)));
    for (size_t i = 0; i < part_row_count; i++) {
        CLEANUP(mem_free) char *name = mem_printf("MODELBUS_%s_RPC_URL", part_rows[i].prefix);
        CLEANUP(mem_free) char *rpc = mem_printf("%s_rpc", part_rows[i].name);
        if (strstr(part_rows[i].settings, "RPC_URL="))
            json_object_set_new(plan->env, name, json_string(var(plan, rpc)));
    }
}

enum err_code
plan_make(struct plan *plan, const struct plan_options *options, struct err *err)
{
    CLEANUP(mem_free) char *state = localdir_path(options->dir, "state.json");

    *plan = (struct plan){.dir = mem_strdup(options->dir),
                          .state = NULL,
                          .vars = json_object(),
                          .env = json_object()};
    if (make_folders(plan, err))
        return err->code;
    if (localdir_read_json(state, &plan->state, err)) {
        if (err->code != ERR_NOT_FOUND)
            return err->code;
        plan->state = json_object();
    }
    if (make_key(plan, err) || choose_addresses(plan, options, err))
        return err->code;
    if (json_string_length(json_object_get(plan->state, "kafka")) == 0 && add_bus(plan, err))
        return err->code;
    if (plan->postgres.home)
        add_database(plan);
    for (size_t i = 0; i < part_row_count; i++)
        if (add_service(plan, &part_rows[i], err))
            return err->code;
    describe_env(plan);
    if (localdir_write_json(state, plan->state, 0600, err))
        return err->code;
    return localdir_env_write(plan->dir, plan->env, err);
}

void
plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->part_count; i++)
        part_done(&plan->parts[i]);
    free(plan->parts);
    postgres_done(&plan->postgres);
    json_decref(plan->state);
    json_decref(plan->vars);
    json_decref(plan->env);
    free(plan->dir);
}
