/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - in the spawner and the keepers only what is safe in signal handlers: no malloc, no locks, no stdio. The task's
 * process may share the keeper's memory until it executes (vfork): what it changes there, the keeper does not read
 * again.
 */
#include "keeper.h"

#include "buf/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Files of spawner and keeper, besides /dev/null as standard ones. */
enum { FD_SOCKET = 3, FD_HELD, FD_COUNT };
#define FD_HIGH 16

/* What the worker says: to the spawner that it wants a keeper (with its socket), to a keeper the others. */
enum word { WORD_SPAWN = 'n', WORD_START = 's', WORD_TERMINATE = 't', WORD_KILL = 'k' };

/* Files with WORD_START; the last one need not be there. */
enum { SENT_TASK, SENT_OUTPUT, SENT_CGROUP, SENT_COUNT };

/* In front of the strings of a task, in memory that is shared: program, folder, arguments, environment. */
struct packed {
    uint64_t data_bytes;
    uint32_t argc, envc;
};

/* ---- messages ---- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(SENT_COUNT * sizeof(int))];
};

/* False: errno. */
static bool
say(int to, enum word word, const int *files, size_t count)
{
    union control control = {.bytes = ""};
    char byte = (char)word;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    ssize_t n;

    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), files, count * sizeof(int));
    }
    do
        n = sendmsg(to, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* 0: the other end is closed. Files that did not come are -1. */
static int
hear(int files[SENT_COUNT])
{
    union control control;
    char byte = 0;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t n;

    do
        n = recvmsg(FD_SOCKET, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *header = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    for (int i = 0; i < SENT_COUNT; i++)
        files[i] = -1;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(files, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    return n == 1 ? byte : 0;
}

static void
drop(const int files[SENT_COUNT])
{
    for (int i = 0; i < SENT_COUNT; i++)
        if (files[i] >= 0)
            close(files[i]);
}

/* ---- in the task's process, before it is the task ---- */

static void
set_limits(const struct keeper_options *o)
{
    struct rlimit none = {0, 0}, data = {o->data_bytes, o->data_bytes};

    setrlimit(RLIMIT_CORE, &none);
    if (o->data_bytes > 0)
        setrlimit(RLIMIT_DATA, &data);
}

static void
reset_signals(void)
{
    sigset_t none;

    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static __attribute__((noreturn)) void
become_task(const struct keeper_options *o, pid_t keeper, int output, int *failed)
{
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(127);
    bool good = (o->cgroup < 0 || write(o->cgroup, "0", 1) == 1) && dup2(output, 1) == 1 &&
                dup2(output, 2) == 2;
    set_limits(o);
    if (good && chdir(o->folder) == 0) {
        close_range(FD_SOCKET, ~0u, 0);
        reset_signals();
        execve(o->program, o->argv, o->envp);
    }
    *failed = errno;
    _exit(127);
}

/* ---- in the keeper ---- */

static void
kill_list(const char *text, ssize_t len)
{
    pid_t pid = 0;

    for (ssize_t i = 0; i < len; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
        } else {
            if (pid > 0)
                kill(pid, SIGKILL);
            pid = 0;
        }
    }
}

/* All that are left: orphans become children of the keeper, so in the end all are. A kernel that does not
 * list them (CONFIG_PROC_CHILDREN) leaves the group. */
static void
kill_children(pid_t group)
{
    char text[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        kill(-group, SIGKILL);
        return;
    }
    ssize_t n = read(fd, text, sizeof(text));
    /* More than fit come when these are gone; the last number may be cut. */
    while (n > 0 && text[n - 1] != ' ')
        n--;
    kill_list(text, n);
    close(fd);
}

static int
kill_all(pid_t task, int status, bool ended)
{
    for (;;) {
        int one;
        kill_children(task);
        pid_t pid = waitpid(-1, &one, 0);
        if (pid == task && !ended)
            status = one;
        if (pid < 0 && errno == ECHILD)
            return status;
    }
}

static const char *
next_string(const char **at)
{
    const char *string = *at;

    *at += strlen(string) + 1;
    return string;
}

static const char **
next_strings(const char **at, uint32_t count, const char **into)
{
    for (uint32_t i = 0; i < count; i++)
        into[i] = next_string(at);
    into[count] = NULL;
    return into;
}

struct mapping {
    void *at;
    size_t len;
};

static bool
map(struct mapping *m, size_t len, int fd)
{
    m->len = len;
    m->at = mmap(NULL, len, PROT_READ | (fd < 0 ? PROT_WRITE : 0),
                 MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    return m->at != MAP_FAILED;
}

/* The task of a request: its strings in *task, what points to them in *lists; the caller unmaps both. */
static bool
unpack(int fd, struct keeper_options *o, struct mapping *task, struct mapping *lists)
{
    struct stat about;

    if (fstat(fd, &about) != 0 || !map(task, (size_t)about.st_size, fd))
        return false;
    const struct packed *packed = task->at;
    size_t pointers = (size_t)packed->argc + packed->envc + 2;
    if (!map(lists, pointers * sizeof(char *), -1)) {
        munmap(task->at, task->len);
        return false;
    }
    const char *at = (const char *)(packed + 1), **list = lists->at;
    o->data_bytes = packed->data_bytes;
    o->program = next_string(&at);
    o->folder = next_string(&at);
    o->argv = (char *const *)(uintptr_t)next_strings(&at, packed->argc, list);
    o->envp = (char *const *)(uintptr_t)next_strings(&at, packed->envc, list + packed->argc + 1);
    return true;
}

static void
on_child(int signal)
{
    (void)signal; /* it interrupts the wait */
}

/* Until the task's own process has ended, or all is to be killed. */
static void
wait_for_end(pid_t task, int *status, bool *ended, bool *over)
{
    struct pollfd said = {.fd = FD_SOCKET, .events = POLLIN};
    int files[SENT_COUNT];
    sigset_t but_child;

    sigfillset(&but_child);
    sigdelset(&but_child, SIGCHLD);
    for (bool kill_it = false; !*ended && !kill_it;) {
        if (ppoll(&said, 1, NULL, &but_child) > 0) {
            int word = hear(files);
            *over = word == 0;
            kill_it = *over || word == WORD_KILL;
            if (word == WORD_TERMINATE && kill(-task, SIGTERM) != 0)
                kill(task, SIGTERM); /* it has no group yet */
            drop(files);
        }
        for (pid_t pid = 1; pid > 0;) {
            int one;
            pid = waitpid(-1, &one, WNOHANG);
            if (pid == task) {
                *ended = true;
                *status = one;
            }
        }
    }
}

/* Not by fork(): a copy of the page tables for a process that executes at once is a third of all its cost. */
static pid_t
start_process(const struct keeper_options *o, int output, int *failed)
{
    const pid_t self = getpid(), task = vfork();

    if (task == 0)
        become_task(o, self, output, failed);
    if (task < 0)
        *failed = errno;
    return task;
}

/* From its start until nothing of it is left. True: the worker has gone. */
static bool
keep(const struct keeper_options *o, int output, int *failed, struct keeper_report *report)
{
    bool ended = false, over = false;
    int status = 0;

    *failed = 0;
    pid_t task = start_process(o, output, failed);

    close(output); /* whose end shall be that of the last that writes */
    if (task > 0) {
        wait_for_end(task, &status, &ended, &over);
        status = kill_all(task, status, ended);
    }
    *report = *failed ? (struct keeper_report){KEEPER_NOT_STARTED, *failed}
                      : (struct keeper_report){KEEPER_ENDED, status};
    return over;
}

/* True: the worker has gone. failed: memory that the task's process shares in any case. */
static bool
do_task(int files[SENT_COUNT], int *failed)
{
    struct keeper_options o = {.cgroup = files[SENT_CGROUP]};
    struct keeper_report report = {KEEPER_NOT_STARTED, ENOMEM};
    struct mapping task, lists;
    bool over = false;
    ssize_t n;

    if (unpack(files[SENT_TASK], &o, &task, &lists)) {
        over = keep(&o, files[SENT_OUTPUT], failed, &report);
        files[SENT_OUTPUT] = -1;
        munmap(lists.at, lists.len);
        munmap(task.at, task.len);
    }
    drop(files);
    do
        n = send(FD_SOCKET, &report, sizeof(report), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return over || n < 0;
}

static __attribute__((noreturn)) void
become_keeper(void)
{
    int files[SENT_COUNT], word;
    int *failed =
        mmap(NULL, sizeof(*failed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bool over = failed == MAP_FAILED;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "task-keeper");
    signal(SIGCHLD, on_child);
    while (!over && (word = hear(files)) != 0) {
        if (word == WORD_START)
            over = do_task(files, failed);
        else
            drop(files); /* about a task that had ended by itself */
    }
    _exit(0);
}

/* ---- in the spawner ---- */

/* Nothing of the worker's but its end of a socket and what is held. */
static bool
take_files(int socket, int held)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int wanted[FD_COUNT] = {null, null, null, socket, held};

    for (int i = 0; i < FD_COUNT; i++)
        if (wanted[i] >= 0 && (wanted[i] = fcntl(wanted[i], F_DUPFD, FD_HIGH)) < 0)
            return false;
    for (int i = 0; i < FD_COUNT; i++) {
        close(i);
        if (wanted[i] >= 0 && dup2(wanted[i], i) < 0)
            return false;
    }
    return close_range(FD_COUNT, ~0u, 0) == 0;
}

static __attribute__((noreturn)) void
become_spawner(int socket, int held)
{
    int files[SENT_COUNT];
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "task-spawner");
    setpgid(0, 0);            /* a terminal's keys are for the worker */
    signal(SIGCHLD, SIG_IGN); /* nobody waits for keepers */
    if (!take_files(socket, held))
        _exit(1);
    while (hear(files) == WORD_SPAWN) {
        /* Without one the socket closes, which tells. */
        if (fork() == 0 && dup2(files[0], FD_SOCKET) == FD_SOCKET &&
            close_range(FD_COUNT, ~0u, 0) == 0)
            become_keeper();
        drop(files);
    }
    _exit(0);
}

/* ---- in the worker ---- */

struct spawner {
    pthread_mutex_t lock;
    int socket, held;
    pid_t pid; /* -1: none was started */
};

/* Under lock. */
static bool
spawn(struct spawner *spawner)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        become_spawner(ends[1], spawner->held);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    if (spawner->pid > 0) {
        /* It was killed, or ends with its socket. */
        close(spawner->socket);
        waitpid(spawner->pid, NULL, 0);
    }
    spawner->socket = ends[0];
    spawner->pid = pid;
    return true;
}

struct spawner *
spawner_open(int held)
{
    struct spawner *spawner = mem_zalloc(sizeof(*spawner));

    *spawner = (struct spawner){.socket = -1, .held = held, .pid = -1};
    pthread_mutex_init(&spawner->lock, NULL);
    pthread_mutex_lock(&spawner->lock);
    (void)spawn(spawner); /* else with the first task */
    pthread_mutex_unlock(&spawner->lock);
    return spawner;
}

void
spawner_free(struct spawner *spawner)
{
    if (!spawner)
        return;
    if (spawner->socket >= 0)
        close(spawner->socket);
    pthread_mutex_destroy(&spawner->lock);
    free(spawner);
}

/* A keeper of its own for the caller. False: errno. */
static bool
get_keeper(struct keeper *keeper)
{
    struct spawner *spawner = keeper->spawner;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    pthread_mutex_lock(&spawner->lock);
    bool good = (spawner->socket >= 0 && say(spawner->socket, WORD_SPAWN, &ends[1], 1)) ||
                (spawn(spawner) && say(spawner->socket, WORD_SPAWN, &ends[1], 1));
    pthread_mutex_unlock(&spawner->lock);
    int failed = errno;
    close(ends[1]);
    if (good)
        keeper->socket = ends[0];
    else
        close(ends[0]);
    errno = failed;
    return good;
}

void
keeper_done(struct keeper *keeper)
{
    if (keeper->socket >= 0)
        close(keeper->socket);
    keeper->socket = -1;
}

/* A file in memory, for the keeper; -1: errno. */
static int
pack(const struct keeper_options *o)
{
    CLEANUP(buf_done) struct buf all = {0};
    struct packed packed = {.data_bytes = o->data_bytes};

    while (o->argv[packed.argc])
        packed.argc++;
    while (o->envp[packed.envc])
        packed.envc++;
    buf_add(&all, &packed, sizeof(packed));
    buf_add(&all, o->program, strlen(o->program) + 1);
    buf_add(&all, o->folder, strlen(o->folder) + 1);
    for (uint32_t i = 0; i < packed.argc; i++)
        buf_add(&all, o->argv[i], strlen(o->argv[i]) + 1);
    for (uint32_t i = 0; i < packed.envc; i++)
        buf_add(&all, o->envp[i], strlen(o->envp[i]) + 1);
    int fd = memfd_create("task", MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < all.len;) {
        ssize_t n = write(fd, all.data + done, all.len - done);
        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return fd;
}

/* One that was killed while it had nothing to do is replaced. */
static bool
start(struct keeper *keeper, const int files[SENT_COUNT])
{
    size_t count = files[SENT_CGROUP] >= 0 ? SENT_COUNT : SENT_COUNT - 1;

    if (keeper->socket >= 0 && say(keeper->socket, WORD_START, files, count))
        return true;
    keeper_done(keeper);
    return get_keeper(keeper) && say(keeper->socket, WORD_START, files, count);
}

enum err_code
keeper_start(struct keeper *keeper, const struct keeper_options *options, int *output,
             struct err *err)
{
    int pipe_ends[2] = {-1, -1}, task = pack(options);
    bool good = false;

    if (task >= 0 && pipe2(pipe_ends, O_CLOEXEC) == 0) {
        const int files[SENT_COUNT] = {task, pipe_ends[1], options->cgroup};
        fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
        good = start(keeper, files);
    }
    int failed = errno;
    if (task >= 0)
        close(task);
    if (pipe_ends[1] >= 0)
        close(pipe_ends[1]);
    if (!good && pipe_ends[0] >= 0)
        close(pipe_ends[0]);
    *output = pipe_ends[0];
    return good ? ERR_OK
                : err_set(err, ERR_UNAVAILABLE, "no process can be started: %s", strerror(failed));
}

/* What cannot be said is said to a keeper that is gone, and its task with it. */
void
keeper_terminate(const struct keeper *keeper)
{
    (void)say(keeper->socket, WORD_TERMINATE, NULL, 0);
}

void
keeper_kill(const struct keeper *keeper)
{
    (void)say(keeper->socket, WORD_KILL, NULL, 0);
}

struct keeper_report
keeper_take_report(struct keeper *keeper)
{
    struct keeper_report report;
    ssize_t n;

    do
        n = recv(keeper->socket, &report, sizeof(report), 0);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(report))
        return report;
    keeper_done(keeper);
    return (struct keeper_report){KEEPER_KILLED, 0};
}
