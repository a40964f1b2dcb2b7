/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_local.c - `modelbus local up|down|logs`: start and stop the supervisor of a folder. */
#include "command.h"
#include "local.h"
#include "output.h"
#include "settings.h"

#include "buf/buf.h"
#include "localdir/localdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 60000
#define FOLLOW_MS 50
#define TAIL_LINES 20

/* Our own options, in the supervisor's words. */
static enum err_code
supervisor_words(struct cli *cli, const char *dir, const char *program, char **words,
                 struct err *err)
{
    static const char *const passed[] = {"gateway-port", "inference-port", "kafka", "postgres",
                                         "bus-prefix"};
    int64_t port;
    size_t count = 0;

    if (cli_number(cli, "gateway-port", 0, 65535, 0, &port, err) ||
        cli_number(cli, "inference-port", 0, 65535, 0, &port, err))
        return err->code;
    words[count++] = mem_strdup(program);
    words[count++] = mem_strdup("--dir");
    words[count++] = mem_strdup(dir);
    for (size_t i = 0; i < ARRAY_LEN(passed); i++)
        if (cli_option(cli, passed[i]))
            words[count++] = mem_printf("--%s=%s", passed[i], cli_option(cli, passed[i]));
    words[count] = NULL;
    return ERR_OK;
}

static enum err_code
find_supervisor(char program[PATH_MAX], struct err *err)
{
    static const char name[] = "/modelbus-supervisor";
    ssize_t n = readlink("/proc/self/exe", program, PATH_MAX - sizeof(name));

    if (n > 0) {
        program[n] = '\0';
        strcpy(strrchr(program, '/'), name);
        if (access(program, X_OK) == 0)
            return ERR_OK;
    }
    return err_set(err, ERR_NOT_FOUND, "the program modelbus-supervisor is not beside modelbus");
}

/* A supervisor that did not start is gone when this returns. */
static enum err_code
report_start(struct cli *cli, const char *dir, pid_t supervisor, const char *line, struct err *err)
{
    CLEANUP(mem_free) char *log = localdir_path(dir, "logs/supervisor.log");
    json_t *said = json_loads(line, 0, NULL);
    json_t *env = NULL;

    if (!json_is_true(json_object_get(said, "ready")))
        while (waitpid(supervisor, NULL, 0) < 0 && errno == EINTR)
            ;
    if (!said) {
        localdir_tail(log, 5, "  ", stderr);
        return err_set(err, ERR_INTERNAL, "the supervisor ended unexpectedly; see %s", log);
    }
    if (!json_is_true(json_object_get(said, "ready"))) {
        err_set(err, err_from_name(json_text_at(said, "error")), "%s",
                json_text_at(said, "message"));
        json_decref(said);
        /* The last words of the part that did not start. */
        const char *see = strstr(err->message, "; see ");
        if (see && !cli->json)
            localdir_tail(see + strlen("; see "), 5, "  ", stderr);
        return err->code;
    }
    enum err_code code = localdir_env_read(dir, &env, err);
    if (!code && !output_json(cli, env)) {
        printf("modelbus is ready after %.1f s\n", (double)json_int_at(said, "ms") / 1000);
        localdir_env_print(dir, env, stdout);
    }
    json_decref(env);
    json_decref(said);
    return code;
}

/* In the child: a session of its own, its log, and nothing of the terminal. */
static void
become_daemon(const char *log)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (setsid() < 0 || null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(out, 2) < 0)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
}

static enum err_code
start_detached(struct cli *cli, const char *dir, char **words, struct err *err)
{
    CLEANUP(mem_free) char *logs = localdir_path(dir, "logs");
    CLEANUP(mem_free) char *log = localdir_path(dir, "logs/supervisor.log");
    CLEANUP(buf_done) struct buf line = {0};
    char chunk[512];
    size_t count = 0;
    ssize_t n;
    int ends[2];

    if (localdir_make(dir, geteuid() ? 0700 : 0755, err) || localdir_make(logs, 0700, err))
        return err->code;
    if (pipe2(ends, O_CLOEXEC))
        return err_set(err, ERR_UNAVAILABLE, "pipe: %s", strerror(errno));
    while (words[count])
        count++;
    words[count++] = mem_printf("--notify-fd=%d", ends[1]);
    words[count] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        become_daemon(log);
        fcntl(ends[1], F_SETFD, 0);
        execv(words[0], words);
        _exit(127);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_set(err, ERR_UNAVAILABLE, "fork: %s", strerror(errno));
    }
    while ((n = read(ends[0], chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(&line, chunk, (size_t)n);
    close(ends[0]);
    return report_start(cli, dir, pid, line.data ? line.data : "", err);
}

static enum err_code
run_up(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *dir = setting_dir(cli);
    char program[PATH_MAX];
    char *words[12];

    if (find_supervisor(program, err) || supervisor_words(cli, dir, program, words, err))
        return err->code;
    if (cli_option(cli, "detach")) {
        enum err_code code = start_detached(cli, dir, words, err);
        for (size_t i = 0; words[i]; i++)
            free(words[i]);
        return code;
    }
    CLEANUP(mem_free) char *logs = localdir_path(dir, "logs");
    CLEANUP(mem_free) char *log = localdir_path(dir, "logs/supervisor.log");
    if (localdir_make(dir, geteuid() ? 0700 : 0755, err) || localdir_make(logs, 0700, err))
        return err->code;
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    fflush(stdout);
    if (out < 0 || dup2(out, 2) < 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", log, strerror(errno));
    execv(words[0], words);
    return err_set(err, ERR_UNAVAILABLE, "%s: %s", program, strerror(errno));
}

/* Only with a yes, or --yes. */
static enum err_code
confirm(const struct cli *cli, const char *dir, struct err *err)
{
    char answer[8] = "";

    if (cli_option(cli, "yes"))
        return ERR_OK;
    if (!isatty(STDIN_FILENO))
        return err_set(err, ERR_PRECONDITION, "--purge deletes all of %s: say --yes too", dir);
    fprintf(stderr, "Delete everything in %s? [y/N] ", dir);
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(err, ERR_CANCELLED, "nothing was deleted");
    return ERR_OK;
}

static enum err_code
purge(const char *dir, struct err *err)
{
    static const char *const elsewhere[] = {"postgres_home", "postgres_socket_dir"};
    CLEANUP(mem_free) char *path = localdir_path(dir, "state.json");
    json_t *state = NULL;
    enum err_code code = ERR_OK;

    /* Only a folder that is ours. */
    if (localdir_read_json(path, &state, err))
        return err_wrap(err, "%s is not a folder of a local platform", dir);
    for (size_t i = 0; i < ARRAY_LEN(elsewhere) && !code; i++) {
        const char *other = json_text_at(state, elsewhere[i]);
        if (strncmp(other, "/var/lib/modelbus/", 18) == 0 ||
            strncmp(other, "/tmp/modelbus-", 14) == 0)
            code = localdir_remove(other, err);
    }
    json_decref(state);
    return code ? code : localdir_remove(dir, err);
}

static enum err_code
run_down(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *dir = setting_dir(cli);
    bool wanted = cli_option(cli, "purge") != NULL;
    pid_t pid = localdir_supervisor(dir);

    if (wanted && confirm(cli, dir, err))
        return err->code;
    if (pid && kill(pid, SIGTERM) && errno != ESRCH)
        return err_set(err, ERR_FORBIDDEN, "stop pid %d: %s", (int)pid, strerror(errno));
    if (pid && !localdir_wait_gone(dir, STOP_MS)) {
        kill(pid, SIGKILL); /* its parts die with it */
        if (!localdir_wait_gone(dir, STOP_MS))
            return err_set(err, ERR_DEADLINE, "the supervisor (pid %d) does not stop", (int)pid);
    }
    if (wanted && purge(dir, err))
        return err->code;
    if (cli->json)
        printf("{\"stopped\": %s, \"purged\": %s}\n", pid ? "true" : "false",
               wanted ? "true" : "false");
    else
        printf(pid ? "stopped\n" : "nothing runs in %s\n", dir);
    return ERR_OK;
}

/* Print what a log gained since *at; a file that shrank was rotated. */
static void
print_new(const char *path, long *at)
{
    FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t n;

    if (!file)
        return;
    fseek(file, 0, SEEK_END);
    if (ftell(file) < *at)
        *at = 0;
    fseek(file, *at, SEEK_SET);
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        fwrite(chunk, 1, n, stdout);
    *at = ftell(file);
    fclose(file);
    fflush(stdout);
}

static long
size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (long)st.st_size;
}

static bool
is_log(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, ".log") == 0;
}

static enum err_code
run_logs(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *dir = setting_dir(cli);
    CLEANUP(mem_free) char *folder = localdir_path(dir, "logs");
    const char *only = cli_word(cli, 0);
    struct dirent **names;
    char *paths[64];
    long at[64];
    size_t count = 0;
    int64_t lines;

    if (cli_number(cli, "lines", 0, 100000, TAIL_LINES, &lines, err))
        return err->code;
    int found = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        CLEANUP(mem_free) char *name = names[i]->d_name[0] ? mem_strdup(names[i]->d_name) : NULL;
        free(names[i]);
        if (!name || !is_log(name) || count == ARRAY_LEN(paths))
            continue;
        if (only && (strncmp(only, name, strlen(name) - 4) != 0 || only[strlen(name) - 4]))
            continue;
        paths[count] = mem_printf("%s/%s", folder, name);
        if (!only)
            printf("%s==> %s\n", count ? "\n" : "", name);
        localdir_tail(paths[count], (unsigned)lines, "", stdout);
        at[count] = size_of(paths[count]);
        count++;
    }
    if (found >= 0)
        free(names);
    fflush(stdout);
    if (!count)
        return err_set(err, ERR_NOT_FOUND, "no log%s%s in %s", only ? " of " : "", only ? only : "",
                       folder);
    while (cli_option(cli, "follow") && !ferror(stdout)) {
        for (size_t i = 0; i < count; i++)
            print_new(paths[i], &at[i]);
        nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000L}, NULL);
    }
    while (count)
        free(paths[--count]);
    return ERR_OK;
}

static const struct option_row up_options[] = {
    {"gateway-port", "N", "port of the gateway (8080; 0: any free one)", NULL, 0},
    {"inference-port", "N", "port of the inference pod (8090; 0: any free one)", NULL, 0},
    {"kafka", "BROKERS", "a real Kafka; 'embedded' goes back to the embedded bus", NULL, 0},
    {"postgres", "URL", "a database; 'private' goes back to the private cluster", NULL, 0},
    {"bus-prefix", "PREFIX", "prefix of the topics (modelbus)", NULL, 0},
    {"detach", NULL, "return when everything is ready", NULL, 'd'},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row down_options[] = {
    {"purge", NULL, "delete the folder with all it holds", NULL, 0},
    {"yes", NULL, "do not ask", NULL, 'y'},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row logs_options[] = {
    {"follow", NULL, "go on with what is written", NULL, 'f'},
    {"lines", "N", "last lines of each log (20)", NULL, 'n'},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command local_commands[] = {
    {.path = "local up",
     .args = "",
     .doc = "Start the platform in a folder and keep it running",
     .run = run_up,
     .options = up_options,
     .examples = "  modelbus local up --detach && . ~/.local/share/modelbus/env\n"
                 "  modelbus local up --dir /tmp/one --gateway-port 0 --inference-port 0\n"
                 "  modelbus local up --kafka localhost:9092 --postgres "
                 "postgresql://me@localhost/models\n"
                 "\nPorts, brokers and database are remembered in the folder.\n"},
    {.path = "local down",
     .args = "",
     .doc = "Stop the platform of a folder",
     .run = run_down,
     .options = down_options},
    {.path = "local status",
     .args = "",
     .doc = "Show the parts: state, uptime, restarts, memory, address (exit code 5: not all ready)",
     .run = local_status},
    {.path = "local logs",
     .args = "[PART]",
     .doc = "Print the parts' logs",
     .run = run_logs,
     .options = logs_options,
     .complete = "alert bus deployment experiment gateway inference monitoring pipeline postgres "
                 "registry supervisor"},
    {.path = NULL},
};
