/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_child.c - in the forked child: make the cluster when there is none, run the server. */
#include "postgres.h"

#include "localdir/localdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OLD_SERVER_WAIT_MS 20000
#define CHECK_MS 20

/* A laptop's share of memory; commits stay durable (fsync and synchronous_commit are on). */
static const char settings[] = "\n# modelbus\n"
                               "listen_addresses = ''\n"
                               "max_connections = 100\n"
                               "shared_buffers = 32MB\n"
                               "wal_level = minimal\n"
                               "max_wal_senders = 0\n"
                               "max_logical_replication_workers = 0\n"
                               "jit = off\n";

static _Noreturn void
fail(const char *what)
{
    dprintf(2, "postgres: %s: %s\n", what, errno ? strerror(errno) : "failed");
    _exit(1);
}

/* Run to the end; input (NULL: none) is its standard input. */
static void
run(const char *input, char *const argv[])
{
    int status, ends[2];

    if (pipe2(ends, O_CLOEXEC))
        fail("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[0], 0);
        execv(argv[0], argv);
        _exit(127);
    }
    close(ends[0]);
    bool sent = !input || write(ends[1], input, strlen(input)) == (ssize_t)strlen(input);
    close(ends[1]);
    if (pid < 0 || !sent || waitpid(pid, &status, 0) != pid || status) {
        errno = 0;
        fail(argv[0]);
    }
}

static void
make_cluster(const struct postgres *postgres)
{
    CLEANUP(mem_free) char *fresh = mem_printf("%s/data.new", postgres->home);
    CLEANUP(mem_free) char *data = mem_printf("%s/data", postgres->home);
    CLEANUP(mem_free) char *conf = mem_printf("%s/postgresql.conf", fresh);
    CLEANUP(mem_free) char *initdb = mem_printf("%s/initdb", postgres->bin);
    CLEANUP(mem_free) char *server = mem_printf("%s/postgres", postgres->bin);
    struct err err;

    /* What an interrupted attempt left; a cluster is complete from the rename on. */
    if (localdir_remove(fresh, &err)) {
        errno = 0;
        fail(err.message);
    }
    run(NULL, (char *[]){initdb, "-D", fresh, "-U", "modelbus", "-A", "trust", "-E", "UTF8",
                         "--locale=C", "--no-instructions", "-N", NULL});
    FILE *file = fopen(conf, "ae");
    if (!file || fputs(settings, file) < 0 || fclose(file))
        fail(conf);
    run("CREATE DATABASE modelbus;\n",
        (char *[]){server, "--single", "-F", "-D", fresh, "template1", NULL});
    if (rename(fresh, data))
        fail(data);
    /* initdb -N left the flushing to us: do it beside the start, which need not wait. */
    int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        _exit(fd < 0 || syncfs(fd) ? 1 : 0);
    }
    close(fd);
}

/* Processes of a server of this folder: they have its data as their working folder. With tell,
 * they are asked to end. */
static unsigned
servers(const char *data, int tell)
{
    char link[300], cwd[PATH_MAX], real[PATH_MAX];
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    unsigned count = 0;

    if (!proc || !realpath(data, real))
        fail(data);
    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        snprintf(link, sizeof(link), "/proc/%s/cwd", entry->d_name);
        ssize_t n = pid > 0 && pid != getpid() ? readlink(link, cwd, sizeof(cwd) - 1) : -1;
        if (n <= 0)
            continue;
        cwd[n] = '\0';
        if (strcmp(cwd, real) != 0)
            continue;
        count++;
        if (tell)
            kill(pid, tell);
    }
    closedir(proc);
    return count;
}

/*
 * What a killed supervisor or postmaster left is on its way out; a new server beside old backends
 * would destroy the data. Only when none is left is the lock file stale for certain, and then
 * it goes, because its pid may have been used again after a reboot.
 */
static void
clear_old_server(const char *data)
{
    CLEANUP(mem_free) char *lock = mem_printf("%s/postmaster.pid", data);
    int64_t end = localdir_monotonic_ms() + OLD_SERVER_WAIT_MS;

    if (access(lock, F_OK))
        return;
    for (unsigned left = servers(data, SIGINT); left; left = servers(data, 0)) {
        if (localdir_monotonic_ms() > end) {
            dprintf(2, "postgres: %u processes of an old server do not end\n", left);
            _exit(1);
        }
        nanosleep(&(struct timespec){.tv_nsec = CHECK_MS * 1000000L}, NULL);
    }
    if (unlink(lock) && errno != ENOENT)
        fail(lock);
}

void
postgres_enter(void *arg)
{
    const struct postgres *postgres = arg;
    CLEANUP(mem_free) char *data = mem_printf("%s/data", postgres->home);
    CLEANUP(mem_free) char *server = mem_printf("%s/postgres", postgres->bin);
    CLEANUP(mem_free) char *version = mem_printf("%s/PG_VERSION", data);
    pid_t parent = getppid();

    errno = 0;
    if (postgres->user && (initgroups(postgres->user, postgres->gid) || setgid(postgres->gid) ||
                           setuid(postgres->uid)))
        fail("become the user postgres");
    umask(0077);
    /* SIGINT is the server's fast shutdown: sessions end, data is flushed. */
    prctl(PR_SET_PDEATHSIG, SIGINT);
    if (getppid() != parent || chdir(postgres->home))
        fail("enter the folder");
    if (access(version, F_OK))
        make_cluster(postgres);
    clear_old_server(data);
    execv(server, (char *[]){server, "-D", data, "-k", postgres->socket_dir, NULL});
}
