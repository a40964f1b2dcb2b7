/* SPDX-License-Identifier: Apache-2.0 */
/* part.c - one supervised process. */
#include "part.h"

#include "port.h"

#include "localdir/localdir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS 250
#define EXIT_CONFIGURATION 2 /* of service_main() */
#define EXIT_NOT_EXECUTED 127

static void
run_child(struct part *part, pid_t supervisor) /* does not return */
{
    sigset_t none;
    int log = open(part->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(EXIT_NOT_EXECUTED);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* enter() sets its own after it has changed user, which clears this one. */
    prctl(PR_SET_PDEATHSIG, part->death_signal);
    if (getppid() != supervisor)
        _exit(EXIT_NOT_EXECUTED);
    for (char **pair = part->env; pair && *pair; pair++)
        putenv(*pair);
    if (part->enter)
        part->enter(part->arg);
    else
        execv(part->argv[0], part->argv);
    dprintf(2, "cannot execute %s: %s\n", part->argv ? part->argv[0] : part->name, strerror(errno));
    _exit(EXIT_NOT_EXECUTED);
}

static void
back_off(struct part *part)
{
    part->state = PART_BACKOFF;
    part->next_ms = localdir_monotonic_ms() + part->backoff_ms;
    part->backoff_ms *= 2;
    if (part->backoff_ms > PART_BACKOFF_MAX_MS)
        part->backoff_ms = PART_BACKOFF_MAX_MS;
}

enum err_code
part_start(struct part *part, struct err *err)
{
    pid_t supervisor = getpid();

    if (!part->backoff_ms)
        part->backoff_ms = PART_BACKOFF_MIN_MS;
    pid_t pid = fork();
    if (pid < 0) {
        back_off(part);
        return err_set(err, ERR_UNAVAILABLE, "start %s: %s", part->name, strerror(errno));
    }
    if (pid == 0)
        run_child(part, supervisor);
    part->pid = pid;
    part->state = PART_STARTING;
    part->started_ms = localdir_now_ms();
    part->started_at = localdir_monotonic_ms();
    return ERR_OK;
}

void
part_exited(struct part *part, int status, bool restart)
{
    part->pid = 0;
    part->last_status = status;
    if (!restart) {
        part->state = PART_STOPPED;
        return;
    }
    if (localdir_monotonic_ms() - part->started_at >= PART_STEADY_MS)
        part->backoff_ms = PART_BACKOFF_MIN_MS;
    part->restarts++;
    back_off(part);
}

bool
part_probe(struct part *part)
{
    if (part->state != PART_STARTING)
        return false;
    if (part->probe ? !port_answers(part->port, part->probe, PROBE_TIMEOUT_MS) : !part->ask(part))
        return false;
    part->state = PART_READY;
    return true;
}

bool
part_hopeless(const struct part *part)
{
    int code = WIFEXITED(part->last_status) ? WEXITSTATUS(part->last_status) : 0;

    return part->state == PART_BACKOFF && (code == EXIT_CONFIGURATION || code == EXIT_NOT_EXECUTED);
}

void
part_describe_exit(int status, char text[64])
{
    if (WIFSIGNALED(status))
        snprintf(text, 64, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, 64, "exit code %d", WEXITSTATUS(status));
}

void
part_rotate_log(const struct part *part, int64_t max_bytes)
{
    CLEANUP(mem_free) char *old = mem_printf("%s.1", part->log);
    struct stat st;
    int from = open(part->log, O_RDWR | O_CLOEXEC);

    if (from < 0)
        return;
    if (fstat(from, &st) == 0 && st.st_size > max_bytes) {
        /* The process goes on appending to the same file, so its content is copied away. */
        int to = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        off_t left = st.st_size;
        while (to >= 0 && left > 0) {
            ssize_t n = sendfile(to, from, NULL, (size_t)left);
            if (n <= 0)
                break;
            left -= n;
        }
        if (to >= 0)
            close(to);
        if (ftruncate(from, 0))
            dprintf(2, "cannot truncate %s: %s\n", part->log, strerror(errno));
    }
    close(from);
}

const char *
part_state_name(enum part_state state)
{
    static const char *const names[] = {"stopped", "starting", "ready", "backoff"};

    return names[state];
}

static void
free_words(char **words)
{
    for (char **word = words; word && *word; word++)
        free(*word);
    free(words);
}

void
part_done(struct part *part)
{
    free_words(part->argv);
    free_words(part->env);
    free(part->log);
    free(part->address);
}
